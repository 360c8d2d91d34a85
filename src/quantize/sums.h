// Sums over one vector in double: once a query or row, where float32 would lose what the estimates need.
#pragma once

#include <cstddef>
#include <vector>

namespace longbow::quantize {

inline double SquaredNorm(const float* values, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    sum += static_cast<double>(values[i]) * values[i];
  }
  return sum;
}

inline double InnerProduct(const float* a, const float* b, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    sum += static_cast<double>(a[i]) * b[i];
  }
  return sum;
}

inline double Sum(const float* values, size_t n) {
  double sum = 0;
  for (size_t i = 0; i < n; ++i) {
    sum += values[i];
  }
  return sum;
}

inline std::vector<float> Difference(const float* a, const float* b, size_t n) {
  std::vector<float> result(n);
  for (size_t i = 0; i < n; ++i) {
    result[i] = a[i] - b[i];
  }
  return result;
}

// The mean of n rows. rows: [n, dimension].
inline std::vector<float> MeanRow(const float* rows, size_t n, size_t dimension) {
  std::vector<double> sums(dimension, 0);
  for (size_t i = 0; i < n; ++i) {
    for (size_t d = 0; d < dimension; ++d) {
      sums[d] += rows[i * dimension + d];
    }
  }
  std::vector<float> mean(dimension);
  for (size_t d = 0; d < dimension; ++d) {
    mean[d] = static_cast<float>(sums[d] / static_cast<double>(n));
  }
  return mean;
}

}  // namespace longbow::quantize
