// hot path: CenteredDots::Run. Budget: what the kernels take and 1 ns a row.
#include "quantize/code_fields.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/check.h"

namespace longbow::quantize {
namespace {

constexpr double kQueryLevels = 127;
constexpr double kPlaneRatio = 254;  // a rest of half a step fills the second plane

auto DotOf(const kernels::CodeKernels& kernels, uint32_t bits) {
  switch (bits) {
    case 1:
      return kernels.dot_u1;
    case 2:
      return kernels.dot_u2;
    case 4:
      return kernels.dot_u4;
    default:
      return kernels.dot_u8;
  }
}

}  // namespace

std::vector<CodeField> SplitBits(size_t dimension, uint32_t bits, size_t offset) {
  LB_CHECK(bits >= 1 && bits <= 8);
  std::vector<CodeField> fields;
  uint32_t left = bits;
  for (const uint32_t width : {8u, 4u, 2u, 1u}) {
    if (left >= width) {
      left -= width;
      fields.push_back({width, left, offset});
      offset += FieldBytes(dimension, width);
    }
  }
  return fields;
}

void PackField(const CodeField& field, const uint8_t* numbers, size_t dimension, uint8_t* code) {
  const size_t bytes = FieldBytes(dimension, field.bits);
  const auto mask = static_cast<uint8_t>((1u << field.bits) - 1);
  uint8_t* out = code + field.offset;
  std::memset(out, 0, bytes);
  for (size_t begin = 0, place = 0; begin < dimension; begin += bytes, place += field.bits) {
    const size_t count = std::min(bytes, dimension - begin);
    for (size_t j = 0; j < count; ++j) {
      out[j] = static_cast<uint8_t>(out[j] | (((numbers[begin + j] >> field.shift) & mask) << place));
    }
  }
}

void UnpackField(const CodeField& field, const uint8_t* code, size_t dimension, uint8_t* numbers) {
  const size_t bytes = FieldBytes(dimension, field.bits);
  const auto mask = static_cast<uint8_t>((1u << field.bits) - 1);
  const uint8_t* in = code + field.offset;
  for (size_t d = 0; d < dimension; ++d) {
    const int value = (in[d % bytes] >> (d / bytes * field.bits)) & mask;
    numbers[d] = static_cast<uint8_t>((numbers[d] & ~(mask << field.shift)) | (value << field.shift));
  }
}

CenteredDots::CenteredDots(const kernels::CodeKernels& kernels, std::vector<CodeField> fields, size_t dimension,
                           float centre, const float* weights, size_t planes)
    : kernels_(kernels), fields_(std::move(fields)), dimension_(dimension) {
  double largest = 0;
  for (size_t d = 0; d < dimension; ++d) {
    largest = std::max(largest, std::fabs(static_cast<double>(weights[d])));
  }
  double step = largest / kQueryLevels;
  std::vector<double> rest(weights, weights + dimension);
  for (size_t p = 0; p < planes; ++p) {
    Plane plane;
    plane.query.assign(dimension + 8, 0);
    plane.scale = static_cast<float>(step);
    const double inverse = step > 0 ? 1 / step : 0;
    int64_t sum = 0;
    for (size_t d = 0; d < dimension; ++d) {
      const auto rounded = static_cast<int8_t>(std::clamp(std::lround(rest[d] * inverse), -127l, 127l));
      plane.query[d] = rounded;
      sum += rounded;
      rest[d] -= rounded * step;
    }
    plane.centre_term = static_cast<float>(centre * static_cast<double>(sum));
    planes_.push_back(std::move(plane));
    step_ = static_cast<float>(step);
    step /= kPlaneRatio;
  }
}

void CenteredDots::Run(const kernels::CodeRows& rows, float* out) const {
  int32_t dots[kEstimateRows];
  int32_t sums[kEstimateRows];
  for (size_t p = 0; p < planes_.size(); ++p) {
    const Plane& plane = planes_[p];
    for (size_t f = 0; f < fields_.size(); ++f) {
      const CodeField& field = fields_[f];
      const kernels::CodeRows at = {rows.codes + field.offset, rows.stride, rows.ids, rows.n};
      int32_t* target = f == 0 ? sums : dots;
      DotOf(kernels_, field.bits)(&at, FieldBytes(dimension_, field.bits), plane.query.data(), target);
      for (size_t i = 0; i < rows.n; ++i) {
        sums[i] = f == 0 ? sums[i] << field.shift : sums[i] + (dots[i] << field.shift);
      }
    }
    for (size_t i = 0; i < rows.n; ++i) {
      const float value = plane.scale * (static_cast<float>(sums[i]) - plane.centre_term);
      out[i] = p == 0 ? value : out[i] + value;
    }
  }
}

}  // namespace longbow::quantize
