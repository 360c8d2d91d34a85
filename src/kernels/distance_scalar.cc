// hot path: the reference every other path is tested against, and what runs on a CPU without vector units.
// Budget: 384 values of a row in L1 in about 60 ns.
#include <string.h>

#include "kernels/kernels.h"

namespace longbow::kernels {
namespace {

enum class Op { kSquaredL2, kInnerProduct };

template <Op kOp>
float Term(float a, float b) {
  if (kOp == Op::kInnerProduct) {
    return a * b;
  }
  const float difference = a - b;
  return difference * difference;
}

template <Op kOp>
float OneRow(const float* a, const float* b, size_t dim) {
  // One sum would wait for each addition to finish before the next; sixteen keep the rounding error of long vectors
  // small and let the compiler use the baseline's vector registers.
  constexpr size_t kSums = 16;
  float sums[kSums] = {};
  size_t i = 0;
  for (; i + kSums <= dim; i += kSums) {
    for (size_t j = 0; j < kSums; ++j) {
      sums[j] += Term<kOp>(a[i + j], b[i + j]);
    }
  }
  for (size_t j = 0; i + j < dim; ++j) {
    sums[j] += Term<kOp>(a[i + j], b[i + j]);
  }
  for (size_t half = kSums / 2; half != 0; half /= 2) {
    for (size_t j = 0; j < half; ++j) {
      sums[j] += sums[j + half];
    }
  }
  return sums[0];
}

template <Op kOp, int kRows, bool kPrefetch>
void Block(const float* query, const float* const* rows, const float* const*, size_t dim, float* out) {
  for (int r = 0; r < kRows; ++r) {
    out[r] = OneRow<kOp>(query, rows[r], dim);
  }
}

#include "kernels/row_blocks.inc"

bool AllFinite(const float* values, size_t n) {
  constexpr uint32_t kExponent = 0x7f800000;
  for (size_t i = 0; i < n; ++i) {
    uint32_t bits;
    memcpy(&bits, values + i, sizeof(bits));
    if ((bits & kExponent) == kExponent) {
      return false;
    }
  }
  return true;
}

}  // namespace

extern const Kernels kScalarKernels = {
    .isa = Isa::kScalar,
    .squared_l2 = Single<Op::kSquaredL2>,
    .inner_product = Single<Op::kInnerProduct>,
    .squared_l2_rows = ContiguousRows<Op::kSquaredL2>,
    .inner_product_rows = ContiguousRows<Op::kInnerProduct>,
    .squared_l2_ids = RowsOfIds<Op::kSquaredL2>,
    .inner_product_ids = RowsOfIds<Op::kInnerProduct>,
    .all_finite = AllFinite,
};

}  // namespace longbow::kernels
