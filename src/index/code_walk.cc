// hot path: see code_walk.h. Budget: memory; a row of 384 dimensions is 392 bytes of code, of which a walk at ef = 100
// reads some two thousand.
#include "index/code_walk.h"

#include <array>
#include <cstring>

namespace longbow::index {
namespace {

// The keys and ids of scratch.
void Offer(const kernels::GraphKernels& kernels, const CodeWalkOptions& options, size_t n, CodeWalkScratch& scratch) {
  std::array<PoolKey, SearchPool::kFreshMax> steering;
  std::array<PoolKey, SearchPool::kFreshMax> wanted;
  for (size_t begin = 0; begin < n; begin += SearchPool::kFreshMax) {
    const size_t end = std::min(n, begin + SearchPool::kFreshMax);
    const float threshold = scratch.pool.threshold();
    const float wanted_threshold = options.filter != nullptr ? scratch.results.threshold() : 0;
    size_t steering_count = 0;
    size_t wanted_count = 0;
    for (size_t i = begin; i < end; ++i) {
      const float key = scratch.keys[i];
      if (key < threshold) {
        steering[steering_count++] = MakeKey(key, scratch.ids[i]);
      }
      if (options.filter != nullptr && key < wanted_threshold) {
        if (options.filter->Contains(scratch.ids[i])) {
          wanted[wanted_count++] = MakeKey(key, scratch.ids[i]);
        } else {
          ++scratch.counters.filtered;
        }
      }
    }
    scratch.pool.Insert(kernels, steering.data(), steering_count);
    if (wanted_count > 0) {
      scratch.results.Insert(kernels, wanted.data(), wanted_count);
    }
  }
}

}  // namespace

void StartCodeWalk(const CodeArray& codes, const EntryPoints& entries, const KeyProbe& probe,
                   const CodeWalkOptions& options, CodeWalkScratch& scratch) {
  const size_t count = entries.ids.size();
  scratch.middle = 0;
  const size_t stride = CodeArray::RowBytes(codes.dimension);
  std::array<int32_t, EntryPoints::kCountMax> dots;
  std::array<PoolKey, EntryPoints::kCountMax> nearest;
  codes.kernels->dot_rows(entries.codes.data(), stride, probe.row, codes.dimension, count, dots.data());
  for (size_t i = 0; i < count; ++i) {
    float scale_and_norm[2];
    std::memcpy(scale_and_norm, &entries.codes[i * stride + codes.dimension], sizeof(scale_and_norm));
    const float term = probe.term_is_norm ? scale_and_norm[1] : 0.0f;
    const auto dot = static_cast<float>(dots[i] - probe.offset_sum);
    const float key = probe.constant + term + probe.factor * scale_and_norm[0] * dot;
    scratch.middle += key / static_cast<float>(count);
    nearest[i] = MakeKey(key, static_cast<LocalId>(i));
  }
  const size_t starts = std::min({count, options.starts, options.ef});
  std::partial_sort(nearest.begin(), nearest.begin() + starts, nearest.begin() + count);
  size_t n = 0;
  for (size_t i = 0; i < starts; ++i) {
    const LocalId id = entries.ids[IdOfKey(nearest[i])];
    if (id == options.left_out) {
      continue;
    }
    scratch.visited.Mark(id);
    scratch.ids[n] = id;
    scratch.keys[n++] = FloatOfKey(nearest[i]);
  }
  Offer(*codes.kernels, options, n, scratch);
}

void OfferRows(const CodeArray& codes, const KeyProbe& probe, const CodeWalkOptions& options, size_t n,
               CodeWalkScratch& scratch) {
  KeysOf(codes, probe, scratch.ids.data(), n, scratch.dots.data(), scratch.keys.data());
  scratch.counters.visited += n;
  Offer(*codes.kernels, options, n, scratch);
}

}  // namespace longbow::index
