#include "npy.h"

#include <cmath>
#include <cstring>
#include <fstream>
#include <iterator>
#include <regex>

namespace longbow::bench {
namespace {

struct Array {
  std::string type;  // numpy's descr: "<f2"
  size_t rows = 0;
  size_t columns = 0;
  std::vector<char> bytes;
};

Status Bad(const std::string& path, const std::string& why) { return InvalidArgument(path + ": " + why); }

// numpy/lib/format.py: magic, version, header size, a Python dictionary as text, values.
Result<Array> ReadArray(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) {
    return NotFound(path + ": cannot be opened");
  }
  char head[10];
  if (!in.read(head, sizeof(head)) || std::memcmp(head, "\x93NUMPY\x01", 7) != 0) {
    return Bad(path, "not a .npy file of version 1");
  }
  std::string header((static_cast<uint8_t>(head[9]) << 8) | static_cast<uint8_t>(head[8]), '\0');
  in.read(header.data(), static_cast<std::streamsize>(header.size()));
  static const std::regex kHeader(
      "'descr': '(<[a-z][0-9])'.*'fortran_order': False.*'shape': \\(([0-9]+), ([0-9]+)\\)");
  std::smatch match;
  if (!in || !std::regex_search(header, match, kHeader)) {
    return Bad(path, "not a two-dimensional little-endian array in C order: " + header);
  }
  Array array;
  array.type = match[1];
  array.rows = std::stoull(match[2]);
  array.columns = std::stoull(match[3]);
  array.bytes.assign(std::istreambuf_iterator<char>(in), {});
  const size_t expected = array.rows * array.columns * static_cast<size_t>(array.type[2] - '0');
  if (array.bytes.size() != expected) {
    return Bad(path,
               "has " + std::to_string(array.bytes.size()) + " bytes of values, expected " + std::to_string(expected));
  }
  return array;
}

float WidenHalf(uint16_t half) {
  const int exponent = (half >> 10) & 31;
  const int fraction = half & 1023;
  const float magnitude = exponent == 0    ? std::ldexp(static_cast<float>(fraction), -24)
                          : exponent == 31 ? (fraction == 0 ? INFINITY : NAN)
                                           : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

}  // namespace

Result<Matrix<float>> ReadFloats(const std::string& path) {
  LB_ASSIGN(const Array array, ReadArray(path));
  Matrix<float> matrix{array.rows, array.columns, std::vector<float>(array.rows * array.columns)};
  if (array.type == "<f4") {
    std::memcpy(matrix.values.data(), array.bytes.data(), array.bytes.size());
    return matrix;
  }
  if (array.type != "<f2") {
    return Bad(path, "holds " + array.type + ", expected float16 or float32");
  }
  for (size_t i = 0; i < matrix.values.size(); ++i) {
    uint16_t half;
    std::memcpy(&half, array.bytes.data() + 2 * i, sizeof(half));
    matrix.values[i] = WidenHalf(half);
  }
  return matrix;
}

Result<Matrix<int32_t>> ReadInts(const std::string& path) {
  LB_ASSIGN(const Array array, ReadArray(path));
  if (array.type != "<i4") {
    return Bad(path, "holds " + array.type + ", expected int32");
  }
  Matrix<int32_t> matrix{array.rows, array.columns, std::vector<int32_t>(array.rows * array.columns)};
  std::memcpy(matrix.values.data(), array.bytes.data(), array.bytes.size());
  return matrix;
}

}  // namespace longbow::bench
