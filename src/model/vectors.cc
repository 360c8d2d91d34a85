// Reading the vector column: its elements as plain memory, copied, and checked for values that are no numbers.
#include "model/vectors.h"

#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>
#include <arrow/util/bitmap_builders.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "model/type_name.h"

namespace longbow {
namespace {

// Elements are checked in blocks: a branch-free sum per block vectorises, and only a bad block is looked at one by one.
constexpr int64_t kCheckBlock = 1024;

template <typename T, typename IsBad>
int64_t FirstBad(const T* values, int64_t count, IsBad is_bad) {
  for (int64_t begin = 0; begin < count; begin += kCheckBlock) {
    const int64_t end = std::min(begin + kCheckBlock, count);
    uint32_t bad = 0;
    for (int64_t i = begin; i < end; ++i) {
      bad += is_bad(values[i]);
    }
    if (bad != 0) {
      return std::find_if(values + begin, values + end, [&](T value) { return is_bad(value) != 0; }) - values;
    }
  }
  return -1;
}

}  // namespace

Result<VectorElements> ElementsOf(const CollectionSchema& schema, const arrow::RecordBatch& rows) {
  if (schema.vector_column < 0) {
    return InvalidArgument("the collection has no vector column");
  }
  const arrow::Field& field = *schema.columns->field(schema.vector_column);
  const auto column = rows.GetColumnByName(field.name());
  if (column == nullptr) {
    return InvalidArgument("column \"" + field.name() + "\" is missing: the collection needs it in every put");
  }
  const auto& expected = static_cast<const arrow::FixedSizeListType&>(*field.type());
  if (column->type_id() != arrow::Type::FIXED_SIZE_LIST ||
      !static_cast<const arrow::FixedSizeListType&>(*column->type()).value_type()->Equals(*expected.value_type())) {
    return InvalidArgument("schema mismatch: type mismatch for column \"" + field.name() +
                           "\": existing=" + TypeName(expected) + ", new=" + TypeName(*column->type()));
  }
  const auto& list = static_cast<const arrow::FixedSizeListArray&>(*column);
  if (list.list_type()->list_size() != expected.list_size()) {
    return InvalidArgument("dimension mismatch: expected " + std::to_string(expected.list_size()) + ", got " +
                           std::to_string(list.list_type()->list_size()));
  }
  // Both the list and its values may be slices: each brings its own offset.
  const arrow::Array& values = *list.values();
  const auto& type = static_cast<const arrow::FixedWidthType&>(*values.type());
  const int64_t width_bytes = type.bit_width() / 8;
  const int64_t first = values.offset() + list.value_offset(0);
  VectorElements elements;
  elements.type = schema.element;
  elements.first_in_values = list.value_offset(0);
  elements.count = list.length() * expected.list_size();
  elements.data = elements.count == 0 ? nullptr : values.data()->buffers[1]->data() + first * width_bytes;
  elements.list = column;
  return elements;
}

int64_t FirstNotFinite(const VectorElements& elements) {
  switch (elements.type) {
    case ElementType::kFloat16:
      return FirstBad(static_cast<const uint16_t*>(elements.data), elements.count,
                      [](uint16_t bits) -> uint32_t { return (bits & 0x7c00) == 0x7c00; });
    case ElementType::kBFloat16:
      return FirstBad(static_cast<const uint16_t*>(elements.data), elements.count,
                      [](uint16_t bits) -> uint32_t { return (bits & 0x7f80) == 0x7f80; });
    case ElementType::kFloat32:
      // As bits: an exponent of all ones is infinity or NaN, whatever the compiler assumes of floats.
      return FirstBad(static_cast<const uint32_t*>(elements.data), elements.count,
                      [](uint32_t bits) -> uint32_t { return (bits & 0x7f800000u) == 0x7f800000u; });
    case ElementType::kFloat64:
      return FirstBad(static_cast<const double*>(elements.data), elements.count,
                      [](double value) -> uint32_t { return !(std::fabs(value) <= FLT_MAX); });
    default:
      return -1;
  }
}

Result<std::shared_ptr<arrow::Array>> NullVectors(const CollectionSchema& schema, int64_t rows) {
  // Arrow's own would write zeros for every element; pages of zeros that are only read are the kernel's one.
  class ZeroPages final : public arrow::Buffer {
   public:
    ZeroPages(std::unique_ptr<void, decltype(&std::free)> zeros, int64_t size_bytes)
        : Buffer(static_cast<const uint8_t*>(zeros.get()), size_bytes), zeros_(std::move(zeros)) {}

   private:
    const std::unique_ptr<void, decltype(&std::free)> zeros_;
  };
  const std::shared_ptr<arrow::DataType>& type = schema.columns->field(schema.vector_column)->type();
  const int64_t elements = rows * schema.dimension;
  const int64_t size_bytes = std::max<int64_t>(1, elements * static_cast<int64_t>(ElementSizeBytes(schema.element)));
  std::unique_ptr<void, decltype(&std::free)> zeros(std::calloc(1, static_cast<size_t>(size_bytes)), &std::free);
  auto none = arrow::AllocateEmptyBitmap(rows);
  if (zeros == nullptr || !none.ok()) {
    return ResourceExhausted("no memory for " + std::to_string(rows) + " rows without vectors");
  }
  auto values = arrow::ArrayData::Make(type->field(0)->type(), elements,
                                       {nullptr, std::make_shared<ZeroPages>(std::move(zeros), size_bytes)}, 0);
  return std::shared_ptr<arrow::Array>(
      std::make_shared<arrow::FixedSizeListArray>(type, rows, arrow::MakeArray(values), *std::move(none), rows));
}

Status CopyVectors(const CollectionSchema& schema, const arrow::RecordBatch& rows, void* out) {
  LB_ASSIGN(const VectorElements elements, ElementsOf(schema, rows));
  if (elements.count > 0) {
    std::memcpy(out, elements.data, static_cast<size_t>(elements.count) * ElementSizeBytes(elements.type));
  }
  return {};
}

}  // namespace longbow
