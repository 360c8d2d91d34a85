#include "cli/npy_file.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

#include "base/parse_value.h"
#include "model/float16.h"

namespace longbow::cli {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr size_t kHeaderMaxBytes = 1 << 20;  // numpy itself refuses more than 10,000 characters
constexpr size_t kReadBytes = 16 << 20;      // converted piece by piece, so that float16 needs no second copy in memory

struct Header {
  std::string type;  // numpy's descr: "<f2"
  std::vector<size_t> shape;
  uint64_t values_offset = 0;
  size_t element_bytes = 0;
  size_t elements = 0;
};

Status Wrong(const std::string& path, const std::string& why) { return InvalidArgument(path + ": " + why); }

// What follows 'key': in the header's Python dictionary, blanks skipped; empty if the key is not there.
std::string_view ValueOf(std::string_view header, std::string_view key) {
  for (const char quote : {'\'', '"'}) {
    const std::string quoted = quote + std::string(key) + quote;
    const size_t at = header.find(quoted);
    if (at == std::string_view::npos) {
      continue;
    }
    const size_t colon = header.find_first_not_of(' ', at + quoted.size());
    if (colon == std::string_view::npos || header[colon] != ':') {
      continue;
    }
    return header.substr(std::min(header.find_first_not_of(' ', colon + 1), header.size()));
  }
  return {};
}

// "(100, 384)" or "(100,)".
std::optional<std::vector<size_t>> ParseShape(std::string_view text) {
  const size_t close = text.find(')');
  if (!text.starts_with('(') || close == std::string_view::npos) {
    return std::nullopt;
  }
  std::vector<size_t> shape;
  for (std::string_view rest = text.substr(1, close - 1); !rest.empty();) {
    const size_t comma = std::min(rest.find(','), rest.size());
    std::string_view part = rest.substr(0, comma);
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    part.remove_prefix(std::min(part.find_first_not_of(' '), part.size()));
    part = part.substr(0, part.find_last_not_of(' ') + 1);
    if (part.empty() && rest.empty()) {
      break;  // the comma behind the last number
    }
    const Result<int64_t> number = ParseInt(part);
    if (!number.ok() || *number < 0) {
      return std::nullopt;
    }
    shape.push_back(static_cast<size_t>(*number));
  }
  return shape;
}

std::string ShapeText(const std::vector<size_t>& shape) {
  std::string text = "(";
  for (const size_t n : shape) {
    text += (text.size() > 1 ? ", " : "") + std::to_string(n);
  }
  return text + ")";
}

Status ReadExactly(File& file, uint64_t offset, std::span<uint8_t> out) {
  LB_ASSIGN(const size_t read, file.ReadAt(offset, out));
  if (read != out.size()) {
    return Wrong(file.path(), "ends at byte " + std::to_string(offset + read) + " where " +
                                  std::to_string(out.size() - read) + " more were expected");
  }
  return {};
}

// The dictionary's text; where the values begin goes to *values_offset.
Result<std::string> ReadHeaderText(File& file, uint64_t* values_offset) {
  std::array<uint8_t, 12> head{};
  LB_ASSIGN(const size_t read, file.ReadAt(0, head));
  if (read < 10 || std::memcmp(head.data(), kMagic.data(), kMagic.size()) != 0) {
    return Wrong(file.path(), "is not a .npy file: it does not begin with \\x93NUMPY");
  }
  const int version = head[6];
  if (version < 1 || version > 3) {
    return Wrong(file.path(), "has version " + std::to_string(version) + " of the .npy format, expected 1, 2 or 3");
  }
  size_t size = head[8] | (static_cast<size_t>(head[9]) << 8);
  size_t begin = 10;
  if (version > 1) {
    size |= (static_cast<size_t>(head[10]) << 16) | (static_cast<size_t>(head[11]) << 24);
    begin = 12;
  }
  if (size > kHeaderMaxBytes) {
    return Wrong(file.path(), "says that its header has " + std::to_string(size) + " bytes, at most " +
                                  std::to_string(kHeaderMaxBytes) + " are read");
  }
  std::string text(size, '\0');
  LB_TRY(ReadExactly(file, begin, {reinterpret_cast<uint8_t*>(text.data()), text.size()}));
  *values_offset = begin + size;
  return text;
}

Result<Header> ReadHeader(File& file, size_t dimensions) {
  Header header;
  LB_ASSIGN(const std::string text, ReadHeaderText(file, &header.values_offset));
  const std::string_view type = ValueOf(text, "descr");
  const size_t end = type.empty() ? std::string_view::npos : type.find(type.front(), 1);
  const auto shape = ParseShape(ValueOf(text, "shape"));
  if (end == std::string_view::npos || end < 4 || !shape) {
    return Wrong(file.path(), "has a header without a plain descr and shape: " + text);
  }
  header.type = type.substr(1, end - 1);
  header.shape = *shape;
  if (!ValueOf(text, "fortran_order").starts_with("False")) {
    return Wrong(file.path(), "is in Fortran order, expected C order: save numpy.ascontiguousarray(x)");
  }
  if (header.type.front() == '>') {
    return Wrong(file.path(), "holds big-endian " + header.type + ", expected little-endian values");
  }
  if (header.shape.size() != dimensions) {
    return Wrong(file.path(), "has shape " + ShapeText(header.shape) + ", expected " + std::to_string(dimensions) +
                                  (dimensions == 1 ? " dimension" : " dimensions"));
  }
  return header;
}

// Compares the file's size with the header's shape; before anything is allocated.
Status CheckSize(File& file, Header& header, size_t element_bytes) {
  header.element_bytes = element_bytes;
  header.elements = 1;
  uint64_t bytes = element_bytes;
  for (const size_t n : header.shape) {
    if (__builtin_mul_overflow(bytes, n, &bytes)) {
      return Wrong(file.path(), "has the impossible shape " + ShapeText(header.shape));
    }
    header.elements *= n;
  }
  LB_ASSIGN(const uint64_t size, file.Size());
  const uint64_t held = size - std::min(size, header.values_offset);
  if (held != bytes) {
    return Wrong(file.path(), "holds " + std::to_string(held) + " bytes of values, expected " + std::to_string(bytes) +
                                  " for shape " + ShapeText(header.shape) + " of " + header.type +
                                  (held < bytes ? ": it was cut off" : ""));
  }
  return {};
}

// Hands the values to `take(first element, bytes)` in pieces of whole elements.
template <typename Take>
Status ReadValues(File& file, const Header& header, const Take& take) {
  const size_t piece = kReadBytes / header.element_bytes;
  std::vector<uint8_t> bytes(std::min(piece, header.elements) * header.element_bytes);
  for (size_t first = 0; first < header.elements; first += piece) {
    const size_t count = std::min(piece, header.elements - first);
    const std::span<uint8_t> part(bytes.data(), count * header.element_bytes);
    LB_TRY(ReadExactly(file, header.values_offset + first * header.element_bytes, part));
    take(first, part);
  }
  return {};
}

}  // namespace

Result<Matrix<float>> ReadNpyVectors(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(Header header, ReadHeader(*file, 2));
  if (header.type != "<f4" && header.type != "<f2") {
    return Wrong(path, "holds " + header.type + ", expected float16 or float32");
  }
  LB_TRY(CheckSize(*file, header, header.type == "<f4" ? 4 : 2));
  if (header.elements == 0) {
    return Wrong(path, "has shape " + ShapeText(header.shape) + ", expected at least one row and one column");
  }
  Matrix<float> matrix{header.shape[0], header.shape[1], std::vector<float>(header.elements)};
  LB_TRY(ReadValues(*file, header, [&](size_t first, std::span<const uint8_t> bytes) {
    float* const out = matrix.values.data() + first;
    if (header.element_bytes == 4) {
      std::memcpy(out, bytes.data(), bytes.size());
      return;
    }
    for (size_t i = 0; 2 * i < bytes.size(); ++i) {
      out[i] = FloatFromHalf(static_cast<uint16_t>(bytes[2 * i] | (bytes[2 * i + 1] << 8)));
    }
  }));
  const auto bad =
      std::find_if_not(matrix.values.begin(), matrix.values.end(), [](float v) { return std::isfinite(v); });
  if (bad != matrix.values.end()) {
    const auto at = static_cast<size_t>(bad - matrix.values.begin());
    return Wrong(path, "row " + std::to_string(at / matrix.columns) + " holds " + std::to_string(*bad) + " in column " +
                           std::to_string(at % matrix.columns) + ": all values must be finite");
  }
  return matrix;
}

Result<Matrix<int64_t>> ReadNpyIds(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(Header header, ReadHeader(*file, 2));
  if (header.type != "<i4" && header.type != "<i8") {
    return Wrong(path, "holds " + header.type + ", expected int32 or int64");
  }
  LB_TRY(CheckSize(*file, header, header.type == "<i4" ? 4 : 8));
  Matrix<int64_t> matrix{header.shape[0], header.shape[1], std::vector<int64_t>(header.elements)};
  LB_TRY(ReadValues(*file, header, [&](size_t first, std::span<const uint8_t> bytes) {
    int64_t* const out = matrix.values.data() + first;
    if (header.element_bytes == 8) {
      std::memcpy(out, bytes.data(), bytes.size());
      return;
    }
    for (size_t i = 0; 4 * i < bytes.size(); ++i) {
      int32_t id;
      std::memcpy(&id, bytes.data() + 4 * i, sizeof(id));
      out[i] = id;
    }
  }));
  return matrix;
}

Result<std::vector<uint8_t>> ReadNpyFlags(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(Header header, ReadHeader(*file, 1));
  if (header.type != "|b1" && header.type != "|u1") {
    return Wrong(path, "holds " + header.type + ", expected bool or uint8");
  }
  LB_TRY(CheckSize(*file, header, 1));
  std::vector<uint8_t> flags(header.elements);
  LB_TRY(ReadValues(*file, header, [&](size_t first, std::span<const uint8_t> bytes) {
    std::transform(bytes.begin(), bytes.end(), flags.begin() + static_cast<std::ptrdiff_t>(first),
                   [](uint8_t byte) { return byte == 0 ? uint8_t{0} : uint8_t{1}; });
  }));
  return flags;
}

}  // namespace longbow::cli
