// Rows that tests make themselves, and exact distances to compare estimates with.
#pragma once

#include <cmath>
#include <memory>
#include <numbers>
#include <vector>

#include "base/random.h"
#include "kernels/code_scan_dispatch.h"
#include "kernels/dispatch.h"
#include "quantize/quantizer.h"

namespace longbow::quantize {

inline const kernels::CodeKernels& FastestKernels() {
  return **kernels::CodeKernelsOf(kernels::SupportedIsas().back());
}

// Box and Muller's transform.
inline float Normal(Random* random) {
  const double radius = std::sqrt(-2 * std::log(1 - random->Fraction()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random->Fraction()));
}

struct TestRows {
  size_t n;
  size_t dimension;
  std::vector<float> values;

  const float* row(size_t i) const { return values.data() + i * dimension; }
  TrainingRows sample() const { return {values.data(), n, dimension}; }
};

// Normal rows around `clusters` normal centres; the first dimensions vary most. `offset` is added to every component.
inline TestRows ClusteredRows(size_t n, size_t dimension, uint64_t seed, size_t clusters = 20, float offset = 0) {
  Random shared(7);  // queries and rows come from the same clusters
  std::vector<float> centres(clusters * dimension);
  for (float& value : centres) {
    value = Normal(&shared);
  }
  Random random(seed);
  TestRows rows = {n, dimension, std::vector<float>(n * dimension)};
  for (size_t i = 0; i < n; ++i) {
    const size_t cluster = random.Below(clusters);
    for (size_t d = 0; d < dimension; ++d) {
      const float spread = 1 / (1 + 4 * static_cast<float>(d) / static_cast<float>(dimension));
      rows.values[i * dimension + d] = offset + centres[cluster * dimension + d] * 0.5f + spread * Normal(&random);
    }
  }
  return rows;
}

inline double ExactDistance(const float* query, const float* row, size_t dimension, Metric metric) {
  double sum = 0;
  for (size_t d = 0; d < dimension; ++d) {
    const double q = query[d];
    const double x = row[d];
    sum += metric == Metric::kL2 ? (q - x) * (q - x) : -q * x;
  }
  return sum;
}

inline std::vector<uint8_t> Encoded(const Quantizer& quantizer, const TestRows& rows) {
  std::vector<uint8_t> codes(rows.n * quantizer.code_bytes());
  const Status status = quantizer.Encode(rows.values.data(), rows.n, codes.data());
  return status.ok() ? codes : std::vector<uint8_t>{};
}

}  // namespace longbow::quantize
