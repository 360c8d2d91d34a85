// How far two vectors are apart, and the score a client sees.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/status.h"

namespace longbow {

// Distance, smaller is nearer: kL2 = squared Euclidean; kCosine = 1 - cosine (1 if a vector is zero); kInnerProduct =
// -<a,b>, of complex vectors the real part of the sum of a * conj(b). Of vectors of packed bits, eight to an element:
// kHamming = bits that differ; kJaccard = 1 - |a & b| / |a | b| (0 if both are empty).
enum class Metric : uint8_t { kL2 = 0, kCosine = 1, kInnerProduct = 2, kHamming = 3, kJaccard = 4 };

// kHamming and kJaccard: elements are uint8.
inline bool IsBitMetric(Metric metric) { return metric == Metric::kHamming || metric == Metric::kJaccard; }

// "euclidean", "cosine", "dot_product", "hamming", "jaccard": the values of the schema key longbow.metric. Others:
// INVALID_ARGUMENT.
Result<Metric> ParseMetric(std::string_view name);
std::string_view MetricName(Metric metric);

// Score, larger is better: 1 / (1 + Euclidean distance); the cosine; the inner product, or the largest float32 if it is
// beyond that; 1 / (1 + bits that differ); the shared part of the bits.
float ScoreOfDistance(Metric metric, double distance);

}  // namespace longbow
