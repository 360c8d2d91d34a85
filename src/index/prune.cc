#include "index/prune.h"

#include <algorithm>
#include <cstring>

#include "index/mix_bits.h"

namespace longbow::index {
namespace {

constexpr size_t kEqualKeptMax = 8;
constexpr size_t kChunk = 4;  // the nearest kept ones decide most of the time

bool HaveOneCode(const RowCodes& codes, LocalId a, LocalId b) {
  return std::memcmp(codes.row(a), codes.row(b), codes.stride()) == 0;
}

}  // namespace

bool Pruner::Occluded(const RowCodes& codes, std::span<const Edge> kept, const Edge& edge, float factor) {
  if (kept.empty()) {
    return false;
  }
  probe_.Aim(codes, edge.id);
  std::array<LocalId, kChunk> ids;
  std::array<int32_t, kChunk> dots;
  std::array<float, kChunk> distances;
  for (size_t begin = 0; begin < kept.size(); begin += kChunk) {
    const size_t n = std::min(kChunk, kept.size() - begin);
    for (size_t i = 0; i < n; ++i) {
      ids[i] = kept[begin + i].id;
    }
    KeysOf(codes, probe_.probe(), ids.data(), n, dots.data(), distances.data());
    for (size_t i = 0; i < n; ++i) {
      if (factor * distances[i] < edge.distance) {
        return true;
      }
    }
  }
  return false;
}

// By its code a row is at some distance from itself: its norm is the true one, its coordinates are rounded. So copies
// are told by their bytes, among the rows that are no farther than that.
size_t Pruner::PutEqualFirst(const RowCodes& codes, LocalId self, std::span<Edge> edges) {
  probe_.Aim(codes, self);
  int32_t dot;
  float to_itself;
  KeysOf(codes, probe_.probe(), &self, 1, &dot, &to_itself);
  const auto farther = std::find_if(
      edges.begin(), edges.end(), [to_itself](const Edge& edge) { return edge.distance > std::max(0.0f, to_itself); });
  const auto first_other = std::stable_partition(edges.begin(), farther, [&codes, self](const Edge& edge) {
    return edge.distance <= 0 || HaveOneCode(codes, self, edge.id);
  });
  return static_cast<size_t>(first_other - edges.begin());
}

void Pruner::Prune(const RowCodes& codes, LocalId self, std::span<Edge> edges, const PruneOptions& options) {
  kept_.clear();
  dropped_.clear();
  const size_t equal = PutEqualFirst(codes, self, edges);
  if (equal > kEqualKeptMax) {
    std::sort(edges.begin(), edges.begin() + static_cast<std::ptrdiff_t>(equal), [self](const Edge& a, const Edge& b) {
      return MixBits(a.id ^ MixBits(self)) < MixBits(b.id ^ MixBits(self));
    });
  }
  for (size_t i = 0; i < edges.size(); ++i) {
    const bool keep = kept_.size() < options.keep_max &&
                      (i < equal ? i < kEqualKeptMax : !Occluded(codes, kept_, edges[i], options.factor));
    (keep ? kept_ : dropped_).push_back(edges[i]);
  }
}

}  // namespace longbow::index
