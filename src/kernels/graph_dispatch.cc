#include "kernels/graph_kernels.h"

namespace longbow::kernels {

const GraphKernels& GraphKernelsOf(Isa isa) {
  switch (isa) {
#if defined(__x86_64__)
    case Isa::kAvx512Vnni:
      return kAvx512VnniGraphKernels;
    case Isa::kAvx512:  // without VNNI and VBMI the wide registers gain nothing here
    case Isa::kAvx2:
      return kAvx2GraphKernels;
#endif
#if defined(__aarch64__)
    case Isa::kNeon:
      return kNeonGraphKernels;
#endif
    default:
      return kScalarGraphKernels;
  }
}

}  // namespace longbow::kernels
