// hot path: bitmaps of rows. Compiled with the flags of its instruction set (CMakeLists.txt). Budget: memory bandwidth.
#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/bitset_words.inc"

}  // namespace

extern const BitsetKernels kScalarBitsets = kTable;

}  // namespace longbow::kernels
