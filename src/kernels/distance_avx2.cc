// hot path: AVX2, FMA and F16C. Compiled with flags of its own (CMakeLists.txt), so nothing but intrinsics and static
// functions. Budget: 384 float32 of a row in L1 in about 25 ns; a row from memory costs what memory costs.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/elements.inc"

#include "kernels/arithmetic_avx2.inc"

#include "kernels/row_loops.inc"

#include "kernels/tables.inc"

}  // namespace

extern const Kernels kAvx2Kernels = TableOf(Isa::kAvx2, &kAvx2Bitsets);

}  // namespace longbow::kernels

#endif  // __x86_64__
