// hot path: AVX-512 F, BW, VL, DQ. Compiled with flags of its own (CMakeLists.txt), so nothing but intrinsics and
// static functions. Budget: 384 values of a row in L1 in about 15 ns; a row from memory costs what memory costs.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

enum class Op { kSquaredL2, kInnerProduct };

template <Op kOp>
__m512 Accumulate(__m512 sum, __m512 query, __m512 row) {
  if (kOp == Op::kInnerProduct) {
    return _mm512_fmadd_ps(query, row, sum);
  }
  const __m512 difference = _mm512_sub_ps(query, row);
  return _mm512_fmadd_ps(difference, difference, sum);
}

template <Op kOp, int kRows, bool kPrefetch>
void Block(const float* query, const float* const* rows, const float* const* next, size_t dim, float* out) {
  __m512 even[kRows];
  __m512 odd[kRows];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    even[r] = _mm512_setzero_ps();
    odd[r] = _mm512_setzero_ps();
  }
  size_t i = 0;
  for (; i + 32 <= dim; i += 32) {
    const __m512 query_even = _mm512_loadu_ps(query + i);
    const __m512 query_odd = _mm512_loadu_ps(query + i + 16);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      if (kPrefetch) {
        _mm_prefetch(reinterpret_cast<const char*>(next[r] + i), _MM_HINT_T0);
        _mm_prefetch(reinterpret_cast<const char*>(next[r] + i + 16), _MM_HINT_T0);
      }
      even[r] = Accumulate<kOp>(even[r], query_even, _mm512_loadu_ps(rows[r] + i));
      odd[r] = Accumulate<kOp>(odd[r], query_odd, _mm512_loadu_ps(rows[r] + i + 16));
    }
  }
  for (; i < dim; i += 16) {
    const size_t left = dim - i;
    const __mmask16 lanes = left >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << left) - 1);
    const __m512 query_tail = _mm512_maskz_loadu_ps(lanes, query + i);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      even[r] = Accumulate<kOp>(even[r], query_tail, _mm512_maskz_loadu_ps(lanes, rows[r] + i));
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    out[r] = _mm512_reduce_add_ps(_mm512_add_ps(even[r], odd[r]));
  }
}

#include "kernels/row_blocks.inc"

bool AllFinite(const float* values, size_t n) {
  const __m512i exponent = _mm512_set1_epi32(0x7f800000);
  for (size_t i = 0; i < n; i += 16) {
    const size_t left = n - i;
    const __mmask16 lanes = left >= 16 ? static_cast<__mmask16>(0xffff) : static_cast<__mmask16>((1u << left) - 1);
    const __m512i bits = _mm512_maskz_loadu_epi32(lanes, values + i);
    if (_mm512_cmpeq_epi32_mask(_mm512_and_si512(bits, exponent), exponent) != 0) {
      return false;
    }
  }
  return true;
}

}  // namespace

extern const Kernels kAvx512Kernels = {
    .isa = Isa::kAvx512,
    .squared_l2 = Single<Op::kSquaredL2>,
    .inner_product = Single<Op::kInnerProduct>,
    .squared_l2_rows = ContiguousRows<Op::kSquaredL2>,
    .inner_product_rows = ContiguousRows<Op::kInnerProduct>,
    .squared_l2_ids = RowsOfIds<Op::kSquaredL2>,
    .inner_product_ids = RowsOfIds<Op::kInnerProduct>,
    .all_finite = AllFinite,
};

}  // namespace longbow::kernels

#endif  // __x86_64__
