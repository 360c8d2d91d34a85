// The tables of vector kernels: one per instruction set, chosen once at start (kernels/dispatch.h) and passed down.
// This header is included by files compiled for instruction sets that the CPU may lack: it must hold plain data only,
// no inline function and nothing of the standard library that could leave code behind for the linker to share.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "model/element_type.h"

namespace longbow::kernels {

// Slowest first on each architecture. kAvx512 is F, BW, VL, DQ (Skylake-X); kAvx512Vnni adds VBMI, VNNI, VPOPCNTDQ and
// BITALG (Ice Lake, Zen 4).
enum class Isa : uint8_t { kScalar = 0, kAvx2 = 1, kAvx512 = 2, kAvx512Vnni = 3, kNeon = 4 };

// One distance between a query and rows of one element type. query: [dim] of the query's type; rows: [n or more, dim]
// of the row's, one after another; out: [n].
struct RowKernels {
  double (*pair)(const void* query, const void* row, size_t dim);
  // out[i] = pair(query, row i).
  void (*rows)(const void* query, const void* rows, size_t dim, size_t n, double* out);
  // out[i] = pair(query, row ids[i]). Prefetches the next rows while it computes; the caller may prefetch the first.
  void (*ids)(const void* query, const void* rows, size_t dim, const uint32_t* ids, size_t n, double* out);
  // out[q * n + i] = pair(query q, row i): every row is fetched from memory once for all queries. queries: [m, dim].
  void (*many)(const void* queries, size_t m, const void* rows, size_t dim, size_t n, double* out);
};

// Everything that rows of one element type can be asked. squared_l2 is the sum of |a - b|^2, inner_product the sum of
// a * b, or of the real part of a * conj(b); the squared norm of a is inner_product(a, a).
//
//   rows       query of squared_l2, inner_product   arithmetic                      result
//   float32    float32                              float32, at least 4 sums        within rounding of float32
//   float16    float32                              rows widened in registers       as float32
//   bfloat16   float32                              rows widened in registers       as float32
//   float64    float64                              float64                         within rounding of float64
//   integers   the row's type                       integers that cannot overflow   exact, rounded once to double
//   complex64  complex64                            as float32 of 2 * dim
//   complex128 complex128                           as float64 of 2 * dim
//
// The wide kernels take a float64 query (complex: re, im of float64) for rows of any type and compute in float64: for
// queries that the row's type cannot hold, and for float32 sums that overflow or vanish.
struct ElementKernels {
  RowKernels squared_l2;
  RowKernels inner_product;
  RowKernels wide_squared_l2;
  RowKernels wide_inner_product;
  // out[i] = float32 of elements[i] - centre[i]; centre may be null for 0. The difference is rounded once, so integers
  // of 64 bits keep what tells them apart. elements: [n]; centre, out: [n], or re, im of each for complex numbers.
  void (*to_float32)(const void* elements, const double* centre, size_t n, float* out);
};

struct TypedKernels {
  ElementKernels of[kElementTypes];  // by ElementType
  // Rows and query of packed bits; dim counts bytes. Bits that differ; 1 - |a & b| / |a | b|, 0 if both are empty.
  RowKernels hamming;
  RowKernels jaccard;
};

// Bitmaps of `words` words of 64 bits. out may be one of the inputs, not a part of one.
struct BitsetKernels {
  void (*and_words)(const uint64_t* a, const uint64_t* b, size_t words, uint64_t* out);
  void (*or_words)(const uint64_t* a, const uint64_t* b, size_t words, uint64_t* out);
  void (*and_not_words)(const uint64_t* a, const uint64_t* b, size_t words, uint64_t* out);  // a & ~b
  uint64_t (*count)(const uint64_t* a, size_t words);
  uint64_t (*count_and)(const uint64_t* a, const uint64_t* b, size_t words);
};

// No pointer needs any alignment; nothing outside the given ranges is read; dim and n may be 0, dim at most 65,536
// (limits::kDimensionMax). Within one table the same two vectors give the same bits from every entry and, where they
// are of one type, in either order, so that distances of a scan and of a graph can be compared and merged. Between
// tables floating-point results differ by rounding. Thread safe: no state.
struct Kernels {
  Isa isa;

  // The float32 kernels of `typed`, with results in float32.
  // Sum over i of (a[i] - b[i])^2. a, b: [dim].
  float (*squared_l2)(const float* a, const float* b, size_t dim);
  // Sum over i of a[i] * b[i]. a, b: [dim]. The squared norm of a is inner_product(a, a, dim).
  float (*inner_product)(const float* a, const float* b, size_t dim);
  // out[i] = kernel(query, row i) for n rows that lie one after another. query: [dim]; rows: [n, dim]; out: [n].
  void (*squared_l2_rows)(const float* query, const float* rows, size_t dim, size_t n, float* out);
  void (*inner_product_rows)(const float* query, const float* rows, size_t dim, size_t n, float* out);
  // out[i] = kernel(query, row ids[i]). rows: [more than every id, dim]; ids, out: [n].
  void (*squared_l2_ids)(const float* query, const float* rows, size_t dim, const uint32_t* ids, size_t n, float* out);
  void (*inner_product_ids)(const float* query, const float* rows, size_t dim, const uint32_t* ids, size_t n,
                            float* out);

  // False if any of values[0, n) is NaN or infinite.
  bool (*all_finite)(const float* values, size_t n);

  const TypedKernels* typed;
  const BitsetKernels* bitsets;
};

extern const Kernels kScalarKernels;
extern const BitsetKernels kScalarBitsets;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
extern const BitsetKernels kAvx2Bitsets;
extern const BitsetKernels kAvx512Bitsets;
extern const BitsetKernels kAvx512VnniBitsets;
#endif
#if defined(__aarch64__)
extern const Kernels kNeonKernels;
extern const BitsetKernels kNeonBitsets;
#endif

}  // namespace longbow::kernels
