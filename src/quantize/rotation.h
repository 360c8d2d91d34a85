// A random rotation that costs D log D: signs and Hadamard transforms.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "kernels/graph_kernels.h"

namespace longbow::quantize {

// Three rounds of random signs, then a Hadamard transform of the first 2^k entries, then of the last 2^k. The two
// overlap, so any multiple of 16 works without padding to a power of two. Orthonormal: lengths and inner products stay.
// The rounds are those of Ailon and Chazelle's fast Johnson-Lindenstrauss transform as RaBitQ uses them; the two
// overlapping blocks are ours. Immutable; the same seed gives the same rotation on every machine.
class Rotation {
 public:
  // `kernels` outlives the rotation.
  Rotation(size_t dimension, uint64_t seed, const kernels::GraphKernels& kernels);

  // `dimension` rounded up to a multiple of 16: the size of what comes out.
  size_t rotated_size() const { return size_; }
  // in: [dimension], out: [rotated_size()]; they do not overlap.
  void Apply(const float* in, float* out) const;

 private:
  const kernels::GraphKernels& kernels_;
  const size_t dimension_;
  const size_t size_;
  size_t block_ = 16;         // the largest power of two within size_
  std::vector<float> signs_;  // [kRounds, size_], each +-1
};

}  // namespace longbow::quantize
