// The vectors of one segment in the type they were put in.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/check.h"
#include "base/status.h"
#include "index/reserved_memory.h"
#include "index/typed_query.h"
#include "index/vector_index.h"
#include "kernels/kernels.h"
#include "model/element_type.h"
#include "model/metric.h"

namespace longbow::index {

// [capacity, dimension] of one element type, row-major without padding, so that any run of rows can be handed out as an
// Arrow buffer. Reserved once, never moves. One thread appends (MutableBytes, FinishRows, then whatever publishes the
// new row count with release order); any number of threads read rows they learned of with acquire order. Shared by the
// segment, its graph and the buffers that were handed out. Complex vectors are rows of their parts, re and im in turn:
// every metric gives the same for them.
class VectorRows {
 public:
  // `kernels` outlives the rows, as does what `place` names: where these arrays belong, and those of graphs of the
  // rows. INVALID_ARGUMENT for a dimension or capacity of 0 or above kRowsMax, for bit metrics on anything but uint8;
  // RESOURCE_EXHAUSTED if the address space cannot be reserved.
  static Result<std::shared_ptr<VectorRows>> Create(uint32_t dimension, uint32_t capacity, Metric metric,
                                                    const kernels::Kernels& kernels,
                                                    ElementType type = ElementType::kFloat32,
                                                    const ArrayPlace& place = {});

  static constexpr uint32_t kRowsMax = (1u << 30) - 2;  // links keep two bits of an id for themselves

  ElementType type() const { return type_; }
  uint32_t dimension() const { return dimension_; }
  uint32_t capacity() const { return capacity_; }
  Metric metric() const { return metric_; }
  const ArrayPlace& place() const { return place_; }
  const kernels::Kernels& kernels() const { return *kernels_; }
  // The kernels of the type.
  const kernels::ElementKernels& element_kernels() const { return kernels_->typed->of[static_cast<size_t>(type_)]; }

  // Where to write row `id` and those after it, up to the capacity: [row_bytes] each.
  std::byte* MutableBytes(LocalId id) { return memory_.As<std::byte>() + id * row_bytes_; }
  // Derives what the metric needs of rows [begin, end), which are complete and finite. Before they are published.
  void FinishRows(LocalId begin, LocalId end);

  // Start-up: rows [begin, end) were put where they belong by other means, as files mapped over MutableBytes(begin)
  // and, for cosine, over MutableInverseNorms(begin). Before they are published.
  void AdoptRows(LocalId begin, LocalId end);
  // [capacity - id]: what FinishRows writes. Cosine only.
  double* MutableInverseNorms(LocalId id) { return inverse_norms_.As<double>() + id; }

  // Where rows are mapped from files and there is less memory than rows: ReadAhead asks the kernel for all of them
  // before the first is read. It costs a microsecond a row where they are in memory, and saves the disk's time for all
  // but one where they are not (docs/adr/0008). Any thread.
  void set_reads_ahead(bool reads_ahead) { reads_ahead_.store(reads_ahead, std::memory_order_relaxed); }
  void ReadAhead(const LocalId* ids, size_t n) const;

  size_t row_bytes() const { return row_bytes_; }
  const std::byte* bytes(LocalId id) const { return memory_.As<std::byte>() + id * row_bytes_; }
  // 1 / norm, 0 for a zero vector. Cosine only.
  double inverse_norm(LocalId id) const { return inverse_norms_.As<double>()[id]; }
  const double* inverse_norms(LocalId id) const { return inverse_norms_.As<double>() + id; }
  // 1 / norm of any query; 0 if it is zero.
  double InverseNorm(const TypedQuery& query) const;

  // The row for whoever works with float32: [dimension]. Rounded; where that would lose what tells rows apart (64-bit
  // types under kL2, which moving all vectors leaves as it is) it is the row minus the segment's first row.
  void ToFloat32(LocalId id, float* out) const { ElementsToFloat32(bytes(id), out); }
  // A query in the space of those: [dimension].
  void ToFloat32(const TypedQuery& query, float* out) const;

  // Rows of float32 only.
  float* MutableRow(LocalId id) {
    LB_CHECK(type_ == ElementType::kFloat32);
    return reinterpret_cast<float*>(MutableBytes(id));
  }
  const float* data() const { return row(0); }
  const float* row(LocalId id) const {
    LB_CHECK(type_ == ElementType::kFloat32);
    return reinterpret_cast<const float*>(bytes(id));
  }

 private:
  VectorRows(uint32_t dimension, uint32_t capacity, Metric metric, const kernels::Kernels& kernels, ElementType type,
             const ArrayPlace& place)
      : type_(type),
        dimension_(dimension),
        capacity_(capacity),
        row_bytes_(dimension * ElementSizeBytes(type)),
        metric_(metric),
        kernels_(&kernels),
        place_(place) {}
  const double* centre() const { return centre_.empty() ? nullptr : centre_.data(); }
  void ElementsToFloat32(const void* elements, float* out) const;
  double InverseNorm(const void* elements) const;

  const ElementType type_;
  const uint32_t dimension_;
  const uint32_t capacity_;
  const size_t row_bytes_;
  const Metric metric_;
  const kernels::Kernels* const kernels_;
  const ArrayPlace place_;
  std::atomic<bool> reads_ahead_{false};
  ReservedMemory memory_;         // [capacity, dimension]
  ReservedMemory inverse_norms_;  // [capacity] float64, cosine only
  std::vector<double> centre_;    // [dimension]: row 0, where ToFloat32 says so; written before any row is published
};

}  // namespace longbow::index
