// hot path: NEON, part of every 64-bit ARM CPU; empty elsewhere. Budget: 384 float32 of a row in L1 in about 40 ns.
// Types without a form here are left to the compiler, which knows NEON too.
#if defined(__aarch64__)

#include <arm_neon.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/elements.inc"

#include "kernels/arithmetic_neon.inc"

#include "kernels/row_loops.inc"

#include "kernels/tables.inc"

}  // namespace

extern const Kernels kNeonKernels = TableOf(Isa::kNeon, &kNeonBitsets);

}  // namespace longbow::kernels

#endif  // __aarch64__
