// Reads the two-dimensional .npy files of benchmarks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"

namespace longbow::bench {

template <typename T>
struct Matrix {
  size_t rows = 0;
  size_t columns = 0;
  std::vector<T> values;  // row-major

  const T* row(size_t i) const { return values.data() + i * columns; }
};

// float16 or float32, C order, little-endian; float16 is widened. NOT_FOUND, INVALID_ARGUMENT.
Result<Matrix<float>> ReadFloats(const std::string& path);
// int32, C order, little-endian.
Result<Matrix<int32_t>> ReadInts(const std::string& path);

}  // namespace longbow::bench
