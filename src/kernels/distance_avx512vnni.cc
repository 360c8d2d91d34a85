// hot path: AVX-512 as of Ice Lake and Zen 4: VBMI, VNNI, VPOPCNTDQ, BITALG beside F, BW, VL, DQ. Compiled with flags
// of its own (CMakeLists.txt), so nothing but intrinsics and static functions.
#if defined(__x86_64__)

#include <immintrin.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

#include "kernels/distance_avx512.inc"

}  // namespace

extern const Kernels kAvx512VnniKernels = {
    .isa = Isa::kAvx512Vnni,
    .squared_l2 = Single<Op::kSquaredL2>,
    .inner_product = Single<Op::kInnerProduct>,
    .squared_l2_rows = ContiguousRows<Op::kSquaredL2>,
    .inner_product_rows = ContiguousRows<Op::kInnerProduct>,
    .squared_l2_ids = RowsOfIds<Op::kSquaredL2>,
    .inner_product_ids = RowsOfIds<Op::kInnerProduct>,
    .all_finite = AllFinite,
};

}  // namespace longbow::kernels

#endif  // __x86_64__
