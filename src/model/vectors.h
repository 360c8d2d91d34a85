// The elements of a batch's vector column as plain memory.
#pragma once

#include <cstdint>
#include <memory>

#include <arrow/type_fwd.h>

#include "base/status.h"
#include "model/schema.h"

namespace longbow {

// [rows, dimension] row-major elements of one type, valid while `list` lives.
struct VectorElements {
  ElementType type = ElementType::kFloat32;
  const void* data = nullptr;   // null if count is 0
  int64_t count = 0;            // rows x dimension
  int64_t first_in_values = 0;  // where they begin in the list's child array
  std::shared_ptr<arrow::Array> list;
};

// INVALID_ARGUMENT: no such column, other element type, other dimension.
Result<VectorElements> ElementsOf(const CollectionSchema& schema, const arrow::RecordBatch& rows);

// Index of the first element that is NaN, infinite or (float64, bfloat16) beyond the range of float32; -1 if all are
// fine.
int64_t FirstNotFinite(const VectorElements& elements);

}  // namespace longbow
