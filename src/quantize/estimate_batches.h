// Estimates rows in batches that fit the stack and the first-level cache.
#pragma once

#include <algorithm>
#include <cstring>

#include "kernels/code_scan.h"
#include "quantize/code_fields.h"

namespace longbow::quantize {

// The part [begin, begin + n) of rows.
inline kernels::CodeRows RowsAt(const kernels::CodeRows& rows, size_t begin, size_t n) {
  return rows.ids == nullptr ? kernels::CodeRows{rows.codes + begin * rows.stride, rows.stride, nullptr, n}
                             : kernels::CodeRows{rows.codes, rows.stride, rows.ids + begin, n};
}

inline const uint8_t* CodeAt(const kernels::CodeRows& rows, size_t i) {
  return rows.codes + (rows.ids == nullptr ? i : rows.ids[i]) * rows.stride;
}

// estimate(batch, begin) for consecutive batches of at most kEstimateRows.
template <typename EstimateBatch>
void InBatches(const kernels::CodeRows& rows, EstimateBatch estimate) {
  for (size_t begin = 0; begin < rows.n; begin += kEstimateRows) {
    estimate(RowsAt(rows, begin, std::min(kEstimateRows, rows.n - begin)), begin);
  }
}

// A field of a code, which has no alignment.
template <typename T>
T LoadFactor(const uint8_t* code, size_t offset) {
  T value;
  std::memcpy(&value, code + offset, sizeof(value));
  return value;
}
template <typename T>
void StoreFactor(uint8_t* code, size_t offset, T value) {
  std::memcpy(code + offset, &value, sizeof(value));
}

}  // namespace longbow::quantize
