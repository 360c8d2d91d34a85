#include "index/vector_rows.h"

#include <sys/mman.h>

#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "base/limits.h"

namespace longbow::index {
namespace {

// Squared norms in float32 outside of these may have lost bits, or everything.
constexpr double kSafeMin = 1e-30;
constexpr double kSafeMax = 1e30;

double InverseOfSquared(double squared) {
  const double inverse = 1 / std::sqrt(squared);
  return std::isfinite(inverse) ? inverse : 0;
}

bool IsLong(ElementType type) {
  return type == ElementType::kFloat64 || type == ElementType::kInt64 || type == ElementType::kUInt64;
}

// float64 of each element, as near as it gets. out: [n].
std::vector<double> Widened(ElementType type, const void* elements, size_t n) {
  std::vector<double> out(n);
  for (size_t i = 0; i < n; ++i) {
    const auto* at = static_cast<const std::byte*>(elements) + i * ElementSizeBytes(type);
    if (type == ElementType::kInt64) {
      int64_t value;
      std::memcpy(&value, at, sizeof(value));
      out[i] = static_cast<double>(value);
    } else if (type == ElementType::kUInt64) {
      uint64_t value;
      std::memcpy(&value, at, sizeof(value));
      out[i] = static_cast<double>(value);
    } else {
      std::memcpy(&out[i], at, sizeof(double));
    }
  }
  return out;
}

}  // namespace

Result<std::shared_ptr<VectorRows>> VectorRows::Create(uint32_t dimension, uint32_t capacity, Metric metric,
                                                       const kernels::Kernels& kernels, ElementType type,
                                                       const ArrayPlace& place) {
  if (dimension == 0 || dimension > limits::kDimensionMax) {
    return InvalidArgument("vector dimension must be between 1 and " + std::to_string(limits::kDimensionMax) +
                           ", got " + std::to_string(dimension));
  }
  if (capacity == 0 || capacity > kRowsMax) {
    return InvalidArgument("rows per segment must be between 1 and " + std::to_string(kRowsMax) + ", got " +
                           std::to_string(capacity));
  }
  if (IsBitMetric(metric) && type != ElementType::kUInt8) {
    return InvalidArgument("metric " + std::string(MetricName(metric)) +
                           " compares packed bits in uint8 elements, got " + ElementTypeName(type));
  }
  std::shared_ptr<VectorRows> rows(new VectorRows(dimension, capacity, metric, kernels, type, place));
  LB_ASSIGN(rows->memory_, ReservedMemory::Create(rows->row_bytes_ * capacity, "vectors", place));
  if (metric == Metric::kCosine) {
    LB_ASSIGN(rows->inverse_norms_, ReservedMemory::Create(sizeof(double) * capacity, "vector norms", place));
  }
  return rows;
}

void VectorRows::ReadAhead(const LocalId* ids, size_t n) const {
  if (!reads_ahead_.load(std::memory_order_relaxed)) {
    return;
  }
  constexpr uintptr_t kPageBytes = 4096;
  for (size_t i = 0; i < n; ++i) {
    const auto at = reinterpret_cast<uintptr_t>(bytes(ids[i]));
    const uintptr_t page = at / kPageBytes * kPageBytes;
    // A hint: the read that follows does as well without it, slower.
    (void)madvise(reinterpret_cast<void*>(page), at + row_bytes_ - page, MADV_WILLNEED);
  }
}

// The kernel's own sum, so that a vector and its copy come out at distance 0 as nearly as the type allows; in float64
// where float32 would overflow or lose bits.
double VectorRows::InverseNorm(const void* elements) const {
  const kernels::ElementKernels& k = element_kernels();
  const bool is_float =
      type_ == ElementType::kFloat32 || type_ == ElementType::kFloat16 || type_ == ElementType::kBFloat16;
  if (!is_float) {
    return InverseOfSquared(k.inner_product.pair(elements, elements, dimension_));
  }
  std::vector<float> query(dimension_);
  k.to_float32(elements, nullptr, dimension_, query.data());
  double squared = k.inner_product.pair(query.data(), elements, dimension_);
  if (!(squared > kSafeMin && squared < kSafeMax)) {
    const std::vector<double> wide(query.begin(), query.end());
    squared = k.wide_inner_product.pair(wide.data(), elements, dimension_);
  }
  return InverseOfSquared(squared);
}

double VectorRows::InverseNorm(const TypedQuery& query) const {
  const bool as_rows = type_ != ElementType::kFloat16 && type_ != ElementType::kBFloat16;
  if (!query.wide() && as_rows) {
    return InverseNorm(query.data());
  }
  double squared = 0;
  for (uint32_t i = 0; i < dimension_; ++i) {
    const double value = query.wide() ? static_cast<const double*>(query.data())[i]
                                      : static_cast<double>(static_cast<const float*>(query.data())[i]);
    squared += value * value;
  }
  return InverseOfSquared(squared);
}

void VectorRows::AdoptRows(LocalId begin, LocalId end) {
  if (begin == 0 && end > 0 && metric_ == Metric::kL2 && IsLong(type_)) {
    centre_ = Widened(type_, bytes(0), dimension_);
  }
}

void VectorRows::FinishRows(LocalId begin, LocalId end) {
  AdoptRows(begin, end);
  if (metric_ != Metric::kCosine) {
    return;
  }
  for (LocalId id = begin; id < end; ++id) {
    inverse_norms_.As<double>()[id] = InverseNorm(bytes(id));
  }
}

void VectorRows::ElementsToFloat32(const void* elements, float* out) const {
  element_kernels().to_float32(elements, centre(), dimension_, out);
}

void VectorRows::ToFloat32(const TypedQuery& query, float* out) const {
  if (query.wide()) {
    const auto double_type = static_cast<size_t>(ElementType::kFloat64);
    return kernels_->typed->of[double_type].to_float32(query.data(), centre(), dimension_, out);
  }
  if (type_ == ElementType::kFloat16 || type_ == ElementType::kBFloat16) {
    std::memcpy(out, query.data(), dimension_ * sizeof(float));
    return;
  }
  ElementsToFloat32(query.data(), out);
}

}  // namespace longbow::index
