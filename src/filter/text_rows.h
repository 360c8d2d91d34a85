// The rows of a text or binary column as string_view, whatever its Arrow form.
#pragma once

#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/binary_view_util.h>

#include <cstdint>
#include <string_view>

namespace longbow::filter {

template <typename Offset>
class OffsetRows {
 public:
  OffsetRows(const arrow::ArrayData& column, int64_t begin)
      : offsets_(reinterpret_cast<const Offset*>(column.buffers[1]->data()) + column.offset + begin),
        data_(column.buffers[2] == nullptr ? nullptr : reinterpret_cast<const char*>(column.buffers[2]->data())) {}
  std::string_view operator[](int64_t i) const {
    return {data_ + offsets_[i], static_cast<size_t>(offsets_[i + 1] - offsets_[i])};
  }

 private:
  const Offset* offsets_;
  const char* data_;
};

class ViewRows {
 public:
  ViewRows(const arrow::ArrayData& column, int64_t begin)
      : views_(reinterpret_cast<const arrow::BinaryViewType::c_type*>(column.buffers[1]->data()) + column.offset +
               begin),
        data_(column.buffers.data() + 2) {}
  std::string_view operator[](int64_t i) const { return arrow::util::FromBinaryView(views_[i], data_); }

 private:
  const arrow::BinaryViewType::c_type* views_;
  const std::shared_ptr<arrow::Buffer>* data_;
};

class FixedRows {
 public:
  FixedRows(const arrow::ArrayData& column, int64_t begin)
      : width_(static_cast<const arrow::FixedSizeBinaryType&>(*column.type).byte_width()),
        data_(reinterpret_cast<const char*>(column.buffers[1]->data()) + (column.offset + begin) * width_) {}
  std::string_view operator[](int64_t i) const { return {data_ + i * width_, static_cast<size_t>(width_)}; }

 private:
  const int64_t width_;
  const char* data_;
};

// Calls `use` with the rows of a column of any text or binary type, counted from row `begin`.
template <typename Use>
void WithTextRows(const arrow::ArrayData& column, int64_t begin, Use use) {
  switch (column.type->id()) {
    case arrow::Type::STRING:
    case arrow::Type::BINARY:
      return use(OffsetRows<int32_t>(column, begin));
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY:
      return use(OffsetRows<int64_t>(column, begin));
    case arrow::Type::STRING_VIEW:
    case arrow::Type::BINARY_VIEW:
      return use(ViewRows(column, begin));
    default:
      return use(FixedRows(column, begin));
  }
}

}  // namespace longbow::filter
