// Reads numpy's .npy files: vectors, exact answers, bitmaps of rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace longbow::cli {

template <typename T>
struct Matrix {
  size_t rows = 0;
  size_t columns = 0;
  std::vector<T> values;  // [rows, columns], row-major

  const T* row(size_t i) const { return values.data() + i * columns; }
};

// All three take versions 1 to 3 of the format (numpy.lib.format), little-endian, C order, and read the whole file.
// NOT_FOUND if there is none; INVALID_ARGUMENT for another format, element type or number of dimensions, and for a file
// that is shorter or longer than its header says. Messages begin with the path.

// [n, d] float16 or float32, n and d at least 1; float16 is widened. Also INVALID_ARGUMENT for a NaN or an infinity.
Result<Matrix<float>> ReadNpyVectors(FileSystem& fs, const std::string& path);
// [n, k] int32 or int64.
Result<Matrix<int64_t>> ReadNpyIds(FileSystem& fs, const std::string& path);
// [n] bool or uint8: 1 for each element that is not 0.
Result<std::vector<uint8_t>> ReadNpyFlags(FileSystem& fs, const std::string& path);

}  // namespace longbow::cli
