// The plain C++ of elements.inc as a table: for machines without anything better, and what the others are compared
// with.
#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/elements.inc"

#include "kernels/row_loops.inc"

bool AllFinite(const float* values, size_t n) {
  constexpr uint32_t kExponent = 0x7f800000;
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    __builtin_memcpy(&bits, values + i, sizeof(bits));
    if ((bits & kExponent) == kExponent) {
      return false;
    }
  }
  return true;
}

#include "kernels/tables.inc"

}  // namespace

extern const Kernels kScalarKernels = TableOf(Isa::kScalar, &kScalarBitsets);

}  // namespace longbow::kernels
