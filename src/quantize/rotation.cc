#include "quantize/rotation.h"

#include <algorithm>
#include <cmath>

#include "base/random.h"

namespace longbow::quantize {
namespace {

constexpr size_t kRounds = 3;

// Unnormalised, in place; n is a power of two and at least 16.
void Hadamard(float* values, size_t n) {
  for (size_t half = 1; half < 4; half *= 2) {
    for (size_t i = 0; i < n; i += 2 * half) {
      for (size_t j = i; j < i + half; ++j) {
        const float sum = values[j] + values[j + half];
        values[j + half] = values[j] - values[j + half];
        values[j] = sum;
      }
    }
  }
  for (size_t half = 4; half < n; half *= 2) {
    for (size_t i = 0; i < n; i += 2 * half) {
      float* left = values + i;
      float* right = left + half;
      for (size_t j = 0; j < half; j += 4) {
        float sum[4];
        for (size_t lane = 0; lane < 4; ++lane) {
          sum[lane] = left[j + lane] + right[j + lane];
          right[j + lane] = left[j + lane] - right[j + lane];
        }
        std::copy(sum, sum + 4, left + j);
      }
    }
  }
}

}  // namespace

Rotation::Rotation(size_t dimension, uint64_t seed) : dimension_(dimension), size_((dimension + 15) / 16 * 16) {
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
  const float scale = 1 / std::sqrt(static_cast<float>(block_));
  for (size_t round = 0; round < kRounds; ++round) {
    const float* signs = signs_.data() + round * size_;
    for (size_t i = 0; i < size_; ++i) {
      out[i] *= i < block_ ? signs[i] * scale : signs[i];
    }
    Hadamard(out, block_);
    if (block_ < size_) {
      float* last = out + size_ - block_;
      for (size_t i = 0; i < block_; ++i) {
        last[i] *= scale;
      }
      Hadamard(last, block_);
    }
  }
}

}  // namespace longbow::quantize
