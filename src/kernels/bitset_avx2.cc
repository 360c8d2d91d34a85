// hot path: bitmaps of rows. Compiled with the flags of its instruction set (CMakeLists.txt). Budget: memory bandwidth.
#if defined(__x86_64__)

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/bitset_words.inc"

}  // namespace

extern const BitsetKernels kAvx2Bitsets = kTable;

}  // namespace longbow::kernels

#endif  // __x86_64__
