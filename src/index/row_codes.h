// The rows of a segment as int8 codes: what graphs are built on and active ones searched by.
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "base/status.h"
#include "index/code_space.h"
#include "index/reserved_memory.h"

namespace longbow::index {

// int8 rows at some distance from each other: uint8 [dimension] (128 = 0), scale float32, squared norm float32, and
// whatever the owner has behind them. Borrowed.
struct CodeArray {
  static constexpr size_t RowBytes(size_t dimension) { return dimension + 2 * sizeof(float); }

  const kernels::GraphKernels* kernels = nullptr;
  const uint8_t* data = nullptr;
  size_t stride = 0;
  size_t dimension = 0;

  const uint8_t* row(LocalId id) const { return data + static_cast<size_t>(id) * stride; }
  float scale(LocalId id) const { return FloatAt(id, dimension); }
  float squared_norm(LocalId id) const { return FloatAt(id, dimension + sizeof(float)); }

 private:
  float FloatAt(LocalId id, size_t offset) const {
    float value;
    std::memcpy(&value, row(id) + offset, sizeof(value));
    return value;
  }
};

// [capacity] of: uint8 [dimension] (128 = 0), scale float32, squared norm float32. One scale a row, as LVQ has it
// (Aguerrebere et al., VLDB 2023). Never moves. Each row is written once, by one thread, before anything points to it;
// any thread reads rows it learned of with acquire order.
class RowCodes {
 public:
  // RESOURCE_EXHAUSTED if the address space cannot be reserved.
  static Result<std::unique_ptr<RowCodes>> Create(std::shared_ptr<const CodeSpace> space, uint32_t capacity,
                                                  const ArrayPlace& place);

  const CodeSpace& space() const { return *space_; }
  const std::shared_ptr<const CodeSpace>& shared_space() const { return space_; }
  size_t dimension() const { return space_->dimension(); }
  size_t stride() const { return stride_; }
  CodeArray array() const { return {&space_->kernels(), memory_.As<uint8_t>(), stride_, dimension()}; }
  const uint8_t* row(LocalId id) const { return array().row(id); }
  float scale(LocalId id) const { return array().scale(id); }
  // Of the row in the space; cosine: a row without direction has 1 more, see CodeSpace.
  float squared_norm(LocalId id) const { return array().squared_norm(id); }
  // What the row adds to a key.
  float term(LocalId id) const { return space_->term_is_norm() ? squared_norm(id) : 0.0f; }

  // Writes the code of row `id` of `rows`. scratch: [dimension()], left as the row in the space.
  void Write(const VectorRows& rows, LocalId id, float* scratch);
  // out: [dimension()].
  void Read(LocalId id, float* out) const { space_->kernels().dequantize_row(row(id), scale(id), dimension(), out); }

 private:
  RowCodes(std::shared_ptr<const CodeSpace> space, size_t stride) : space_(std::move(space)), stride_(stride) {}

  const std::shared_ptr<const CodeSpace> space_;
  const size_t stride_;
  ReservedMemory memory_;
};

// What the keys of rows are computed from: key = constant + term + factor * scale * (dot - offset_sum). Borrows the
// row.
struct KeyProbe {
  const int8_t* row = nullptr;  // [dimension]
  int32_t offset_sum = 0;
  float factor = 0;
  float constant = 0;
  bool term_is_norm = true;
};

inline KeyProbe ProbeOf(const CodeSpace& space, const CodedQuery& query) {
  return {query.row(), query.row_offset_sum(), query.row_factor(), query.constant(), space.term_is_norm()};
}

// out[i] = key of row ids[i]. ids, out: [n]; dots: [n], scratch.
void KeysOf(const CodeArray& codes, const KeyProbe& probe, const LocalId* ids, size_t n, int32_t* dots, float* out);
inline void KeysOf(const RowCodes& codes, const KeyProbe& probe, const LocalId* ids, size_t n, int32_t* dots,
                   float* out) {
  KeysOf(codes.array(), probe, ids, n, dots, out);
}

// A row in the place of a query. Used by one thread; reusable.
class RowProbe {
 public:
  // For what edges go by: squared distance in the space, or CodeSpace::product_constant() - 2 <a, b>.
  void Aim(const RowCodes& codes, LocalId id);
  // For squared distances.
  void AimSquared(const RowCodes& codes, LocalId id);
  const KeyProbe& probe() const { return probe_; }

 private:
  std::vector<int8_t> row_;
  KeyProbe probe_;
};

}  // namespace longbow::index
