#include "kernels/code_scan_dispatch.h"

#include "kernels/dispatch.h"

namespace longbow::kernels {

Result<const CodeKernels*> CodeKernelsOf(Isa isa) {
  LB_ASSIGN([[maybe_unused]] const Kernels* supported, KernelsOf(isa));
#if defined(__x86_64__)
  if (isa == Isa::kAvx512Vnni) {
    return &kAvx512VnniCodeKernels;
  }
  if (isa == Isa::kAvx2 || isa == Isa::kAvx512) {
    return &kAvx2CodeKernels;
  }
#endif
  return &kScalarCodeKernels;
}

}  // namespace longbow::kernels
