// hot path: AVX-512 F, BW, VL, DQ. Compiled with flags of its own (CMakeLists.txt), so nothing but intrinsics and
// static functions. Budget: 384 float32 of a row in L1 in about 15 ns; a row from memory costs what memory costs.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/elements.inc"

#include "kernels/arithmetic_avx512.inc"

__m512i Widen(int8_t, __m256i v) { return _mm512_cvtepi8_epi16(v); }
__m512i Widen(uint8_t, __m256i v) { return _mm512_cvtepu8_epi16(v); }

// 8 bits: widened to 16. A lane adds at most 2 * 255^2 a step, 2,048 steps of it fit 31 bits.
template <typename Element, Op kOp>
struct ByteRegisters : IntegerRegisters<Element> {
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
    sums->v =
        _mm512_add_epi32(sums->v, kOp == Op::kInnerProduct ? _mm512_madd_epi16(q, r) : _mm512_madd_epi16(apart, apart));
  }
  static double Total(const Sums& sums, Nothing, size_t) { return static_cast<double>(SumOf32(sums.v)); }
};
template <Op kOp>
struct Arithmetic<int8_t, kOp> : ByteRegisters<int8_t, kOp> {};
template <>
struct Arithmetic<uint8_t, Op::kSquaredL2> : ByteRegisters<uint8_t, Op::kSquaredL2> {};
template <>
struct Arithmetic<uint8_t, Op::kInnerProduct> : ByteRegisters<uint8_t, Op::kInnerProduct> {};

#include "kernels/row_loops.inc"

#include "kernels/tables.inc"

}  // namespace

extern const Kernels kAvx512Kernels = TableOf(Isa::kAvx512, &kAvx512Bitsets);

}  // namespace longbow::kernels

#endif  // __x86_64__
