// How far two vectors are apart, and the score a client sees.
#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace longbow {

// Distance, smaller is nearer: kL2 = squared Euclidean; kCosine = 1 - cosine (1 if a vector is zero); kInnerProduct =
// -<a,b>.
enum class Metric : uint8_t { kL2 = 0, kCosine = 1, kInnerProduct = 2 };

// "euclidean", "cosine", "dot_product": the values of the schema key longbow.metric. Others: INVALID_ARGUMENT.
Result<Metric> ParseMetric(std::string_view name);
std::string_view MetricName(Metric metric);

// Score, larger is better: 1 / (1 + Euclidean distance); the cosine; the inner product.
inline float ScoreOfDistance(Metric metric, float distance) {
  switch (metric) {
    case Metric::kL2:
      return 1.0f / (1.0f + std::sqrt(distance));
    case Metric::kCosine:
      return 1.0f - distance;
    case Metric::kInnerProduct:
      break;
  }
  return -distance;
}

}  // namespace longbow
