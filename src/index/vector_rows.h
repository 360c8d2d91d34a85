// The float32 vectors of one segment, and how far they are from a query.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/status.h"
#include "index/reserved_memory.h"
#include "index/vector_index.h"
#include "kernels/kernels.h"
#include "model/metric.h"

namespace longbow::index {

// [capacity, dimension] float32, row-major without padding, so that any run of rows can be handed out as an Arrow
// buffer. Reserved once, never moves. One thread appends (MutableRow, FinishRows, then whatever publishes the new row
// count with release order); any number of threads read rows they learned of with acquire order. Shared by the segment,
// its graph and the buffers that were handed out.
class VectorRows {
 public:
  // `kernels` outlives the rows. INVALID_ARGUMENT for a dimension or capacity of 0 or above kRowsMax;
  // RESOURCE_EXHAUSTED if the address space cannot be reserved.
  static Result<std::shared_ptr<VectorRows>> Create(uint32_t dimension, uint32_t capacity, Metric metric,
                                                    const kernels::Kernels& kernels);

  static constexpr uint32_t kRowsMax = (1u << 30) - 2;  // links keep two bits of an id for themselves

  uint32_t dimension() const { return dimension_; }
  uint32_t capacity() const { return capacity_; }
  Metric metric() const { return metric_; }
  const kernels::Kernels& kernels() const { return *kernels_; }

  // Where to write row `id` and those after it, up to the capacity.
  float* MutableRow(LocalId id) { return values() + static_cast<size_t>(id) * dimension_; }
  // Derives what the metric needs of rows [begin, end), which are complete and finite. Before they are published.
  void FinishRows(LocalId begin, LocalId end);

  const float* data() const { return values(); }
  const float* row(LocalId id) const { return values() + static_cast<size_t>(id) * dimension_; }
  // 1 / norm, 0 for a zero vector. Cosine only.
  float inverse_norm(LocalId id) const { return inverse_norms_.As<float>()[id]; }
  // 1 / norm of any vector: [dimension]; 0 if it is zero or so small that the inverse is not finite.
  float InverseNorm(const float* vector) const;

 private:
  VectorRows(uint32_t dimension, uint32_t capacity, Metric metric, const kernels::Kernels& kernels)
      : dimension_(dimension), capacity_(capacity), metric_(metric), kernels_(&kernels) {}
  float* values() const { return memory_.As<float>(); }

  const uint32_t dimension_;
  const uint32_t capacity_;
  const Metric metric_;
  const kernels::Kernels* const kernels_;
  ReservedMemory memory_;         // [capacity, dimension]
  ReservedMemory inverse_norms_;  // [capacity], cosine only
};

}  // namespace longbow::index
