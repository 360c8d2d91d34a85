#include "index/prune.h"

#include <algorithm>

namespace longbow::index {
namespace {

constexpr size_t kEqualKeptMax = 8;
constexpr size_t kChunk = 4;  // the nearest kept ones decide most of the time

uint32_t Mix(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
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

void Pruner::Prune(const RowCodes& codes, LocalId self, std::span<Edge> edges, const PruneOptions& options) {
  kept_.clear();
  dropped_.clear();
  const auto first_other = std::find_if(edges.begin(), edges.end(), [](const Edge& e) { return e.distance > 0; });
  const auto equal = static_cast<size_t>(first_other - edges.begin());
  if (equal > kEqualKeptMax) {
    std::sort(edges.begin(), first_other,
              [self](const Edge& a, const Edge& b) { return Mix(a.id ^ Mix(self)) < Mix(b.id ^ Mix(self)); });
  }
  for (size_t i = 0; i < edges.size(); ++i) {
    const bool keep = kept_.size() < options.keep_max &&
                      (i < equal ? i < kEqualKeptMax : !Occluded(codes, kept_, edges[i], options.factor));
    (keep ? kept_ : dropped_).push_back(edges[i]);
  }
}

}  // namespace longbow::index
