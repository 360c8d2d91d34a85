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
    default:  // NEON has no table of its own yet
      return kScalarGraphKernels;
  }
}

}  // namespace longbow::kernels
