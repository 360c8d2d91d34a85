// hot path of building: budget 15 % of an insertion.
#include "index/select_neighbors.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "index/query_distance.h"

namespace longbow::index {
namespace {

constexpr size_t kBatch = 4;  // what a kernel measures at once; then there may be no need for more
// Links to rows that equal each other. One would do for a graph built by one thread; copies inserted at the same moment
// do not see each other, and later copies join them only if they link to more than one.
constexpr size_t kCopiesMax = 3;

bool SameVector(const VectorRows& rows, LocalId a, LocalId b) {
  return std::memcmp(rows.bytes(a), rows.bytes(b), rows.row_bytes()) == 0;
}

bool IsOccluded(const VectorRows& rows, const Neighbor& candidate, const std::vector<LinkCandidate>& kept) {
  const QueryDistance distance(rows, candidate.id);
  std::array<LocalId, kBatch> ids;
  std::array<float, kBatch> distances;
  size_t copies = 0;
  for (size_t begin = 0; begin < kept.size(); begin += kBatch) {
    const size_t n = std::min(kBatch, kept.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      ids[i] = kept[begin + i].neighbor.id;
    }
    distance.ToIds(ids.data(), n, distances.data());
    for (size_t i = 0; i < n; ++i) {
      if (distances[i] < candidate.distance) {
        return true;
      }
      // Identical rows are equally far from anything, bit for bit.
      const bool equally_far = kept[begin + i].neighbor.distance == candidate.distance;
      if (equally_far && SameVector(rows, ids[i], candidate.id) && ++copies == kCopiesMax) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

void SelectNeighbors(const VectorRows& rows, const std::vector<LinkCandidate>& candidates, size_t max,
                     std::vector<LinkCandidate>* kept) {
  kept->clear();
  const auto is_tree = [](const LinkCandidate& c) { return c.kind != LinkKind::kPlain; };
  auto tree_left = static_cast<size_t>(std::count_if(candidates.begin(), candidates.end(), is_tree));
  for (const LinkCandidate& candidate : candidates) {
    if (is_tree(candidate)) {
      --tree_left;
      kept->push_back(candidate);
    } else if (kept->size() + tree_left < max && !IsOccluded(rows, candidate.neighbor, *kept)) {
      kept->push_back(candidate);
    } else if (kept->size() == max) {
      return;
    }
  }
}

}  // namespace longbow::index
