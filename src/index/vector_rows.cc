#include "index/vector_rows.h"

#include <cmath>
#include <string>
#include <utility>

#include "base/limits.h"

namespace longbow::index {

Result<std::shared_ptr<VectorRows>> VectorRows::Create(uint32_t dimension, uint32_t capacity, Metric metric,
                                                       const kernels::Kernels& kernels) {
  if (dimension == 0 || dimension > limits::kDimensionMax) {
    return InvalidArgument("vector dimension must be between 1 and " + std::to_string(limits::kDimensionMax) +
                           ", got " + std::to_string(dimension));
  }
  if (capacity == 0 || capacity > kRowsMax) {
    return InvalidArgument("rows per segment must be between 1 and " + std::to_string(kRowsMax) + ", got " +
                           std::to_string(capacity));
  }
  std::shared_ptr<VectorRows> rows(new VectorRows(dimension, capacity, metric, kernels));
  LB_ASSIGN(rows->memory_, ReservedMemory::Create(sizeof(float) * dimension * capacity, "vectors"));
  if (metric == Metric::kCosine) {
    LB_ASSIGN(rows->inverse_norms_, ReservedMemory::Create(sizeof(float) * capacity, "vector norms"));
  }
  return rows;
}

float VectorRows::InverseNorm(const float* vector) const {
  // The kernel's own sum, so that a vector and its copy come out at distance 0 as nearly as float allows; in double
  // where float would overflow or lose bits.
  constexpr float kSafeMin = 1e-30f;
  constexpr float kSafeMax = 1e30f;
  double squared = kernels_->inner_product(vector, vector, dimension_);
  if (!(squared > kSafeMin && squared < kSafeMax)) {
    squared = 0;
    for (uint32_t i = 0; i < dimension_; ++i) {
      squared += static_cast<double>(vector[i]) * vector[i];
    }
  }
  const auto inverse = static_cast<float>(1 / std::sqrt(squared));
  return std::isfinite(inverse) ? inverse : 0.0f;
}

void VectorRows::FinishRows(LocalId begin, LocalId end) {
  if (metric_ != Metric::kCosine) {
    return;
  }
  for (LocalId id = begin; id < end; ++id) {
    inverse_norms_.As<float>()[id] = InverseNorm(row(id));
  }
}

}  // namespace longbow::index
