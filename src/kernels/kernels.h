// The table of vector kernels: one per instruction set, chosen once at start (kernels/dispatch.h) and passed down.
// This header is included by files compiled for instruction sets that the CPU may lack: it must hold plain data only,
// no inline function and nothing of the standard library that could leave code behind for the linker to share.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace longbow::kernels {

// Slowest first on each architecture. kAvx512 is F, BW, VL, DQ (Skylake-X); kAvx512Vnni adds VBMI, VNNI, VPOPCNTDQ and
// BITALG (Ice Lake, Zen 4).
enum class Isa : uint8_t { kScalar = 0, kAvx2 = 1, kAvx512 = 2, kAvx512Vnni = 3, kNeon = 4 };

// Everything works on float32. No pointer needs any alignment; nothing outside the given ranges is read; dim and n may
// be 0. Within one table the same two vectors give the same bits from every entry and in either order, so that
// distances of a scan and of a graph can be compared and merged. Between tables results differ by rounding. Thread
// safe: no state.
struct Kernels {
  Isa isa;

  // Sum over i of (a[i] - b[i])^2. a, b: [dim].
  float (*squared_l2)(const float* a, const float* b, size_t dim);
  // Sum over i of a[i] * b[i]. a, b: [dim]. The squared norm of a is inner_product(a, a, dim).
  float (*inner_product)(const float* a, const float* b, size_t dim);

  // out[i] = kernel(query, row i) for n rows that lie one after another. query: [dim]; rows: [n, dim]; out: [n].
  void (*squared_l2_rows)(const float* query, const float* rows, size_t dim, size_t n, float* out);
  void (*inner_product_rows)(const float* query, const float* rows, size_t dim, size_t n, float* out);

  // out[i] = kernel(query, row ids[i]). Prefetches the next rows while it computes; the caller may prefetch the first.
  // rows: [more than every id, dim]; ids, out: [n].
  void (*squared_l2_ids)(const float* query, const float* rows, size_t dim, const uint32_t* ids, size_t n, float* out);
  void (*inner_product_ids)(const float* query, const float* rows, size_t dim, const uint32_t* ids, size_t n,
                            float* out);

  // False if any of values[0, n) is NaN or infinite.
  bool (*all_finite)(const float* values, size_t n);
};

extern const Kernels kScalarKernels;
#if defined(__x86_64__)
extern const Kernels kAvx2Kernels;
extern const Kernels kAvx512Kernels;
extern const Kernels kAvx512VnniKernels;
#endif
#if defined(__aarch64__)
extern const Kernels kNeonKernels;
#endif

}  // namespace longbow::kernels
