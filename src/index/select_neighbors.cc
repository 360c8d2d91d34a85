// hot path of building: budget 15 % of an insertion.
#include "index/select_neighbors.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "index/query_distance.h"

namespace longbow::index {
namespace {

constexpr size_t kBatch = 4;  // what a kernel measures at once; then there may be no need for more

bool SameVector(const VectorRows& rows, LocalId a, LocalId b) {
  return std::memcmp(rows.row(a), rows.row(b), rows.dimension() * sizeof(float)) == 0;
}

bool IsOccluded(const VectorRows& rows, const Neighbor& candidate, const std::vector<LinkCandidate>& kept) {
  const QueryDistance distance(rows, candidate.id);
  std::array<LocalId, kBatch> ids;
  std::array<float, kBatch> distances;
  for (size_t begin = 0; begin < kept.size(); begin += kBatch) {
    const size_t n = std::min(kBatch, kept.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      ids[i] = kept[begin + i].neighbor.id;
    }
    distance.ToIds(ids.data(), n, distances.data());
    for (size_t i = 0; i < n; ++i) {
      // Identical rows are equally far from anything, bit for bit.
      if (distances[i] < candidate.distance ||
          (kept[begin + i].neighbor.distance == candidate.distance && SameVector(rows, ids[i], candidate.id))) {
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
