// hot path: AVX2 and FMA. Compiled with flags of its own (CMakeLists.txt), so nothing but intrinsics and static
// functions. Budget: 384 values of a row in L1 in about 25 ns; a row from memory costs what memory costs.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

enum class Op { kSquaredL2, kInnerProduct };

template <Op kOp>
__m256 Accumulate(__m256 sum, __m256 query, __m256 row) {
  if (kOp == Op::kInnerProduct) {
    return _mm256_fmadd_ps(query, row, sum);
  }
  const __m256 difference = _mm256_sub_ps(query, row);
  return _mm256_fmadd_ps(difference, difference, sum);
}

float Sum(__m256 v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

// All bits set in the first n of 8 lanes; masked loads do not touch the others.
__m256i FirstLanes(size_t n) {
  return _mm256_cmpgt_epi32(_mm256_set1_epi32(static_cast<int>(n)), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

template <Op kOp, int kRows, bool kPrefetch>
void Block(const float* query, const float* const* rows, const float* const* next, size_t dim, float* out) {
  __m256 even[kRows];
  __m256 odd[kRows];
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    even[r] = _mm256_setzero_ps();
    odd[r] = _mm256_setzero_ps();
  }
  size_t i = 0;
  for (; i + 16 <= dim; i += 16) {
    const __m256 query_even = _mm256_loadu_ps(query + i);
    const __m256 query_odd = _mm256_loadu_ps(query + i + 8);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      if (kPrefetch) {
        _mm_prefetch(reinterpret_cast<const char*>(next[r] + i), _MM_HINT_T0);
      }
      even[r] = Accumulate<kOp>(even[r], query_even, _mm256_loadu_ps(rows[r] + i));
      odd[r] = Accumulate<kOp>(odd[r], query_odd, _mm256_loadu_ps(rows[r] + i + 8));
    }
  }
  if (i + 8 <= dim) {
    const __m256 query_even = _mm256_loadu_ps(query + i);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      even[r] = Accumulate<kOp>(even[r], query_even, _mm256_loadu_ps(rows[r] + i));
    }
    i += 8;
  }
  if (i < dim) {
    const __m256i lanes = FirstLanes(dim - i);
    const __m256 query_tail = _mm256_maskload_ps(query + i, lanes);
#pragma GCC unroll 4
    for (int r = 0; r < kRows; ++r) {
      odd[r] = Accumulate<kOp>(odd[r], query_tail, _mm256_maskload_ps(rows[r] + i, lanes));
    }
  }
#pragma GCC unroll 4
  for (int r = 0; r < kRows; ++r) {
    out[r] = Sum(_mm256_add_ps(even[r], odd[r]));
  }
}

#include "kernels/row_blocks.inc"

bool AllFinite(const float* values, size_t n) {
  const __m256i exponent = _mm256_set1_epi32(0x7f800000);
  size_t i = 0;
  for (; i + 8 <= n; i += 8) {
    const __m256i bits = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(values + i));
    const __m256i bad = _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), exponent);
    if (!_mm256_testz_si256(bad, bad)) {
      return false;
    }
  }
  const __m256i bits = _mm256_castps_si256(_mm256_maskload_ps(values + i, FirstLanes(n - i)));
  const __m256i bad = _mm256_cmpeq_epi32(_mm256_and_si256(bits, exponent), exponent);
  return _mm256_testz_si256(bad, bad) != 0;
}

}  // namespace

extern const Kernels kAvx2Kernels = {
    .isa = Isa::kAvx2,
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
