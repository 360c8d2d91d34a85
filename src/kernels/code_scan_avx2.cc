// hot path: AVX2 and FMA. Compiled with flags of its own (CMakeLists.txt), so nothing but intrinsics and static
// functions. Budget, in L1: 384 fields of 8 bits 20 ns, of 4 bits 15 ns, 96 table lookups for a packed row 5 ns.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/code_scan.h"

namespace longbow::kernels {
namespace {

constexpr size_t kStep = 32;  // bytes

int32_t Sum(__m256i v) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

// VPMADDUBSW saturates for fields of 8 bits, so those are widened first; smaller ones cannot come near the limit.
template <int kBits>
__m256i Products(__m256i code, const int8_t* query, size_t bytes) {
  if (kBits == 8) {
    const auto* q = reinterpret_cast<const __m128i*>(query);
    const __m256i low =
        _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_castsi256_si128(code)), _mm256_cvtepi8_epi16(_mm_loadu_si128(q)));
    const __m256i high = _mm256_madd_epi16(_mm256_cvtepu8_epi16(_mm256_extracti128_si256(code, 1)),
                                           _mm256_cvtepi8_epi16(_mm_loadu_si128(q + 1)));
    return _mm256_add_epi32(low, high);
  }
  const __m256i field_mask = _mm256_set1_epi8(static_cast<char>((1 << kBits) - 1));
  __m256i sum = _mm256_setzero_si256();
#pragma GCC unroll 8
  for (int field = 0; field < 8 / kBits; ++field) {
    const __m256i q = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(query + field * bytes));
    const __m256i fields = _mm256_and_si256(_mm256_srli_epi16(code, field * kBits), field_mask);
    sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(fields, q));
  }
  return _mm256_madd_epi16(sum, _mm256_set1_epi16(1));
}

// Rows shorter than one register, byte by byte.
template <int kBits>
int32_t ShortDot(const uint8_t* row, size_t bytes, const int8_t* query) {
  int32_t sum = 0;
  for (size_t field = 0; field < 8 / kBits; ++field) {
    for (size_t j = 0; j < bytes; ++j) {
      sum += ((row[j] >> (field * kBits)) & ((1 << kBits) - 1)) * query[field * bytes + j];
    }
  }
  return sum;
}

template <int kBits, int kRows>
void DotBlock(const uint8_t* const* rows, size_t bytes, const int8_t* query, int32_t* out) {
  if (bytes < kStep) {
    for (int r = 0; r < kRows; ++r) {
      out[r] = ShortDot<kBits>(rows[r], bytes, query);
    }
    return;
  }
  __m256i sum[kRows];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    sum[r] = _mm256_setzero_si256();
  }
  size_t j = 0;
  for (; j + kStep <= bytes; j += kStep) {
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256i code = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[r] + j));
      sum[r] = _mm256_add_epi32(sum[r], Products<kBits>(code, query + j, bytes));
    }
  }
  if (j < bytes) {
    // The last register ends with the row; what was counted before is cleared.
    const __m256i place = _mm256_setr_epi8(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21,
                                           22, 23, 24, 25, 26, 27, 28, 29, 30, 31);
    const __m256i fresh = _mm256_cmpgt_epi8(place, _mm256_set1_epi8(static_cast<char>(kStep - (bytes - j) - 1)));
    j = bytes - kStep;
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256i code = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(rows[r] + j));
      sum[r] = _mm256_add_epi32(sum[r], Products<kBits>(_mm256_and_si256(code, fresh), query + j, bytes));
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    out[r] = Sum(sum[r]);
  }
}

#include "kernels/code_row_blocks.inc"

// Four sums hide the latency of the adds.
void LookupBytes(const CodeRows* rows, size_t bytes, const float* tables, float* out) {
  for (size_t i = 0; i < rows->n; ++i) {
    const uint8_t* row = RowAt(rows, i);
    float sum[4] = {};
    size_t j = 0;
    for (; j + 4 <= bytes; j += 4) {
      sum[0] += tables[j * 256 + row[j]];
      sum[1] += tables[(j + 1) * 256 + row[j + 1]];
      sum[2] += tables[(j + 2) * 256 + row[j + 2]];
      sum[3] += tables[(j + 3) * 256 + row[j + 3]];
    }
    for (; j < bytes; ++j) {
      sum[0] += tables[j * 256 + row[j]];
    }
    out[i] = (sum[0] + sum[1]) + (sum[2] + sum[3]);
  }
}

// Sums of 16 rows, whose bytes stand in the order of kRowOfByte: 16-bit sums of even and odd bytes, one line's fields 0
// and 1 (or 2 and 3) in the two halves of a register.
struct HalfBlock {
  __m256i even;
  __m256i odd;
};

void AddLookups(HalfBlock* sums, __m256i values) {
  sums->even = _mm256_add_epi16(sums->even, _mm256_and_si256(values, _mm256_set1_epi16(0xff)));
  sums->odd = _mm256_add_epi16(sums->odd, _mm256_srli_epi16(values, 8));
}

constexpr size_t kLinesPerFlush = 128;  // 2 * 255 a line and lane: 65,280 at most
constexpr uint8_t kRowOfByte[16] = {0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15};

void Flush(HalfBlock* sums, uint32_t* out) {
  uint16_t even[16];
  uint16_t odd[16];
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(even), sums->even);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(odd), sums->odd);
  for (size_t i = 0; i < 8; ++i) {
    out[kRowOfByte[2 * i]] += static_cast<uint32_t>(even[i]) + even[8 + i];
    out[kRowOfByte[2 * i + 1]] += static_cast<uint32_t>(odd[i]) + odd[8 + i];
  }
  sums->even = _mm256_setzero_si256();
  sums->odd = _mm256_setzero_si256();
}

void ScanLine(const uint8_t* line, const uint8_t* table, HalfBlock* low, HalfBlock* high) {
  const __m256i by_field = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5, 9,
                                            13, 2, 6, 10, 14, 3, 7, 11, 15);
  const __m256i nibble = _mm256_set1_epi8(15);
  const auto* at = reinterpret_cast<const __m256i*>(line);
  const __m256i first = _mm256_shuffle_epi8(_mm256_loadu_si256(at), by_field);
  const __m256i second = _mm256_shuffle_epi8(_mm256_loadu_si256(at + 1), by_field);
  // Field 0 of 16 rows in the lower half, field 1 in the upper one; then fields 2 and 3.
  const __m256i fields[2] = {_mm256_permute4x64_epi64(_mm256_unpacklo_epi32(first, second), 0xd8),
                             _mm256_permute4x64_epi64(_mm256_unpackhi_epi32(first, second), 0xd8)};
#pragma GCC unroll 2
  for (int pair = 0; pair < 2; ++pair) {
    const __m256i tables = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(table + 32 * pair));
    AddLookups(low, _mm256_shuffle_epi8(tables, _mm256_and_si256(fields[pair], nibble)));
    AddLookups(high, _mm256_shuffle_epi8(tables, _mm256_and_si256(_mm256_srli_epi16(fields[pair], 4), nibble)));
  }
}

void ScanBlocks(const uint8_t* blocks, size_t stride, size_t block_count, size_t lines, const uint8_t* tables,
                uint32_t* out) {
  for (size_t b = 0; b < block_count; ++b) {
    uint32_t* sums = out + b * kScanRows;
    for (size_t i = 0; i < kScanRows; ++i) {
      sums[i] = 0;
    }
    HalfBlock low = {_mm256_setzero_si256(), _mm256_setzero_si256()};
    HalfBlock high = low;
    for (size_t i = 0; i < lines; ++i) {
      ScanLine(blocks + b * stride + i * kScanLineBytes, tables + i * kScanLineBytes, &low, &high);
      if ((i + 1) % kLinesPerFlush == 0) {
        Flush(&low, sums);
        Flush(&high, sums + 16);
      }
    }
    Flush(&low, sums);
    Flush(&high, sums + 16);
  }
}

// kRows rows against 16 columns: the sums stay in registers.
template <int kRows>
void ScoreTile(const float* rows, size_t stride, const float* columns, const float* bias, size_t dim, size_t k,
               float* out) {
  __m256 left[kRows];
  __m256 right[kRows];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    left[r] = _mm256_loadu_ps(bias);
    right[r] = _mm256_loadu_ps(bias + 8);
  }
  for (size_t d = 0; d < dim; ++d) {
    const __m256 left_column = _mm256_loadu_ps(columns + d * k);
    const __m256 right_column = _mm256_loadu_ps(columns + d * k + 8);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      const __m256 x = _mm256_set1_ps(rows[r * stride + d]);
      left[r] = _mm256_fmadd_ps(x, left_column, left[r]);
      right[r] = _mm256_fmadd_ps(x, right_column, right[r]);
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    _mm256_storeu_ps(out + r * k, left[r]);
    _mm256_storeu_ps(out + r * k + 8, right[r]);
  }
}

void ScoreColumns(const float* rows, size_t stride, size_t n, const float* columns, const float* bias, size_t dim,
                  size_t k, float* out) {
  size_t i = 0;
  for (; i + 4 <= n; i += 4) {
    for (size_t j = 0; j < k; j += 16) {
      ScoreTile<4>(rows + i * stride, stride, columns + j, bias + j, dim, k, out + i * k + j);
    }
  }
  for (; i < n; ++i) {
    for (size_t j = 0; j < k; j += 16) {
      ScoreTile<1>(rows + i * stride, stride, columns + j, bias + j, dim, k, out + i * k + j);
    }
  }
}

size_t IndexOfMax(const float* values, size_t k) {
  __m256 best = _mm256_loadu_ps(values);
  __m256i best_base = _mm256_setzero_si256();
  for (size_t j = 8; j < k; j += 8) {
    const __m256 value = _mm256_loadu_ps(values + j);
    const __m256 above = _mm256_cmp_ps(value, best, _CMP_GT_OQ);
    best = _mm256_blendv_ps(best, value, above);
    best_base = _mm256_blendv_epi8(best_base, _mm256_set1_epi32(static_cast<int>(j)), _mm256_castps_si256(above));
  }
  float value[8];
  uint32_t base[8];
  _mm256_storeu_ps(value, best);
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(base), best_base);
  size_t index = base[0];
  float top = value[0];
  for (size_t lane = 1; lane < 8; ++lane) {
    if (value[lane] > top || (value[lane] == top && base[lane] + lane < index)) {
      top = value[lane];
      index = base[lane] + lane;
    }
  }
  return index;
}

}  // namespace

extern const CodeKernels kAvx2CodeKernels = {
    .isa = Isa::kAvx2,
    .dot_u8 = Dot<8>,
    .dot_u4 = Dot<4>,
    .dot_u2 = Dot<2>,
    .dot_u1 = Dot<1>,
    .lookup_bytes = LookupBytes,
    .scan_blocks = ScanBlocks,
    .score_columns = ScoreColumns,
    .index_of_max = IndexOfMax,
};

}  // namespace longbow::kernels

#endif  // __x86_64__
