// hot path: AVX-512 as of Ice Lake and Zen 4: VBMI, VNNI, VPOPCNTDQ, BITALG beside F, BW, VL, DQ. Compiled with flags
// of its own (CMakeLists.txt), so nothing but intrinsics and static functions. Budget: 384 int8 of a row in L1 in 4 ns.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/elements.inc"

#include "kernels/arithmetic_avx512.inc"

__m512i Widen(int8_t, __m256i v) { return _mm512_cvtepi8_epi16(v); }
__m512i Widen(uint8_t, __m256i v) { return _mm512_cvtepu8_epi16(v); }

// Differences need nine bits: VPDPWSSD on 16. A lane adds at most 2 * 255^2 a step, 2,048 steps of it fit 31 bits.
template <typename Element>
struct ByteSquares : IntegerRegisters<Element> {
  static constexpr size_t kStep = 32;
  struct Sums {
    __m512i v;
  };
  static __m512i LoadQuery(const Element* p) { return Widen(Element(), Load32(p)); }
  static __m512i LoadQuery(const Element* p, size_t left) { return Widen(Element(), Load32(p, left)); }
  static __m512i LoadRow(const Element* p) { return LoadQuery(p); }
  static __m512i LoadRow(const Element* p, size_t left) { return LoadQuery(p, left); }
  static void Add(Sums* sums, __m512i q, __m512i r) {
    const __m512i apart = _mm512_sub_epi16(q, r);
    sums->v = _mm512_dpwssd_epi32(sums->v, apart, apart);
  }
  static double Total(const Sums& sums, Nothing, size_t) { return static_cast<double>(SumOf32(sums.v)); }
};
template <>
struct Arithmetic<int8_t, Op::kSquaredL2> : ByteSquares<int8_t> {};
template <>
struct Arithmetic<uint8_t, Op::kSquaredL2> : ByteSquares<uint8_t> {};

// VPDPBUSD multiplies unsigned by signed bytes. One side is moved by 128 to be what it must be, and 128 times the sum
// of the other side makes up for it: for int8 that is the query's sum, the same for all rows.
template <typename Element>
struct ByteProducts : IntegerRegisters<Element> {
  static constexpr size_t kStep = 64;
  static constexpr bool kSigned = Element(-1) < Element(0);
  struct Sums {
    __m512i v;
    __m512i row;  // uint8 only
  };
  struct QuerySums {
    __m512i v;
  };
  static __m512i LoadQuery(const Element* p) { return Load64(p); }
  static __m512i LoadQuery(const Element* p, size_t left) { return Load64(p, left); }
  static __m512i LoadRow(const Element* p) { return LoadQuery(p); }
  static __m512i LoadRow(const Element* p, size_t left) { return LoadQuery(p, left); }
  static __m512i Moved(__m512i v) { return _mm512_xor_si512(v, _mm512_set1_epi8(-128)); }
  static void AddQuery(QuerySums* sums, __m512i q) {
    if (kSigned) {
      sums->v = _mm512_dpbusd_epi32(sums->v, _mm512_set1_epi8(1), q);
    }
  }
  static void Add(Sums* sums, __m512i q, __m512i r) {
    if (kSigned) {
      sums->v = _mm512_dpbusd_epi32(sums->v, Moved(r), q);
    } else {
      sums->v = _mm512_dpbusd_epi32(sums->v, r, Moved(q));
      sums->row = _mm512_dpbusd_epi32(sums->row, r, _mm512_set1_epi8(1));
    }
  }
  static double Total(const Sums& sums, const QuerySums& query, size_t) {
    const int64_t moved = SumOf32(sums.v);
    return static_cast<double>(kSigned ? moved - 128 * SumOf32(query.v) : moved + 128 * SumOf32(sums.row));
  }
};
template <>
struct Arithmetic<int8_t, Op::kInnerProduct> : ByteProducts<int8_t> {};
template <>
struct Arithmetic<uint8_t, Op::kInnerProduct> : ByteProducts<uint8_t> {};

template <Op kOp>
struct BitRegisters : IntegerRegisters<uint8_t> {
  static constexpr size_t kStep = 64;
  struct Sums {
    __m512i common;  // kHamming: bits that differ
    __m512i either;
  };
  static __m512i LoadQuery(const uint8_t* p) { return Load64(p); }
  static __m512i LoadQuery(const uint8_t* p, size_t left) { return Load64(p, left); }
  static __m512i LoadRow(const uint8_t* p) { return LoadQuery(p); }
  static __m512i LoadRow(const uint8_t* p, size_t left) { return LoadQuery(p, left); }
  static void Add(Sums* sums, __m512i q, __m512i r) {
    if (kOp == Op::kHamming) {
      sums->common = _mm512_add_epi64(sums->common, _mm512_popcnt_epi64(_mm512_xor_si512(q, r)));
    } else {
      sums->common = _mm512_add_epi64(sums->common, _mm512_popcnt_epi64(_mm512_and_si512(q, r)));
      sums->either = _mm512_add_epi64(sums->either, _mm512_popcnt_epi64(_mm512_or_si512(q, r)));
    }
  }
  static double Total(const Sums& sums, Nothing, size_t) {
    return BitTotal<kOp>(_mm512_reduce_add_epi64(sums.common), _mm512_reduce_add_epi64(sums.either));
  }
};
template <>
struct Arithmetic<uint8_t, Op::kHamming> : BitRegisters<Op::kHamming> {};
template <>
struct Arithmetic<uint8_t, Op::kJaccard> : BitRegisters<Op::kJaccard> {};

#include "kernels/row_loops.inc"

#include "kernels/tables.inc"

}  // namespace

extern const Kernels kAvx512VnniKernels = TableOf(Isa::kAvx512Vnni, &kAvx512VnniBitsets);

}  // namespace longbow::kernels

#endif  // __x86_64__
