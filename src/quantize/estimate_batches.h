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

// Rows picked by id are fetched this many at a time while those before them are estimated.
inline constexpr size_t kFetchedRows = 16;
inline constexpr size_t kCacheLineBytes = 64;

inline void FetchCodes(const kernels::CodeRows& rows, size_t begin, size_t code_bytes) {
  for (size_t i = begin; i < std::min(begin + kFetchedRows, rows.n); ++i) {
    const uint8_t* code = CodeAt(rows, i);
    for (size_t byte = 0; byte < code_bytes; byte += kCacheLineBytes) {
      __builtin_prefetch(code + byte);
    }
    __builtin_prefetch(code + code_bytes - 1);
  }
}

// estimate(batch, begin) for consecutive batches of at most kEstimateRows.
template <typename EstimateBatch>
void InBatches(const kernels::CodeRows& rows, size_t code_bytes, EstimateBatch estimate) {
  const bool picked = rows.ids != nullptr;
  const size_t size = picked ? kFetchedRows : kEstimateRows;
  if (picked) {
    FetchCodes(rows, 0, code_bytes);
  }
  for (size_t begin = 0; begin < rows.n; begin += size) {
    if (picked) {
      FetchCodes(rows, begin + size, code_bytes);
    }
    estimate(RowsAt(rows, begin, std::min(size, rows.n - begin)), begin);
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
