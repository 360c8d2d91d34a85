#include "quantize/rotation.h"

#include <algorithm>

#include "base/random.h"

namespace longbow::quantize {
namespace {

constexpr size_t kRounds = 3;

}  // namespace

Rotation::Rotation(size_t dimension, uint64_t seed, const kernels::GraphKernels& kernels)
    : kernels_(kernels), dimension_(dimension), size_((dimension + 15) / 16 * 16) {
  while (block_ * 2 <= size_) {
    block_ *= 2;
  }
  Random random(seed);
  signs_.resize(kRounds * size_);
  for (float& sign : signs_) {
    sign = random.Next() >> 63 == 0 ? 1.0f : -1.0f;
  }
}

void Rotation::Apply(const float* in, float* out) const {
  std::copy(in, in + dimension_, out);
  std::fill(out + dimension_, out + size_, 0.0f);
  kernels_.rotate(out, signs_.data(), size_, block_);
}

}  // namespace longbow::quantize
