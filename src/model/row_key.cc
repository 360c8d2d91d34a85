#include "model/row_key.h"

#include <arrow/array.h>
#include <arrow/type.h>

#include <charconv>
#include <limits>

#include "model/schema.h"
#include "model/type_name.h"

namespace longbow {
namespace {

template <typename ArrayType>
RowKey IntegerKey(const arrow::Array& ids, int64_t i) {
  // Sign extension first: an int8 -1 and an int64 -1 are the same key.
  return static_cast<uint64_t>(static_cast<const ArrayType&>(ids).Value(i));
}

template <typename Int>
bool ParseWhole(const std::string& text, Int* value) {
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, *value);
  return error == std::errc() && stop == end && !text.empty();
}

template <typename Int>
Result<RowKey> ParseInteger(const arrow::DataType& type, const std::string& text) {
  Int value = 0;
  if (!ParseWhole(text, &value)) {
    return InvalidArgument("invalid " + TypeName(type) + " id \"" + text + "\"");
  }
  return RowKey(static_cast<uint64_t>(value));
}

}  // namespace

RowKey KeyAt(const arrow::Array& ids, int64_t i) {
  switch (ids.type_id()) {
    case arrow::Type::INT8:
      return IntegerKey<arrow::Int8Array>(ids, i);
    case arrow::Type::UINT8:
      return IntegerKey<arrow::UInt8Array>(ids, i);
    case arrow::Type::INT16:
      return IntegerKey<arrow::Int16Array>(ids, i);
    case arrow::Type::UINT16:
      return IntegerKey<arrow::UInt16Array>(ids, i);
    case arrow::Type::INT32:
      return IntegerKey<arrow::Int32Array>(ids, i);
    case arrow::Type::UINT32:
      return IntegerKey<arrow::UInt32Array>(ids, i);
    case arrow::Type::INT64:
      return IntegerKey<arrow::Int64Array>(ids, i);
    case arrow::Type::UINT64:
      return IntegerKey<arrow::UInt64Array>(ids, i);
    case arrow::Type::LARGE_STRING:
      return std::string(static_cast<const arrow::LargeStringArray&>(ids).GetView(i));
    default:
      return std::string(static_cast<const arrow::StringArray&>(ids).GetView(i));
  }
}

Result<RowKey> ParseKey(const CollectionSchema& schema, const std::string& text) {
  if (schema.id_column < 0) {
    uint64_t ordinal = 0;
    if (!ParseWhole(text, &ordinal)) {
      return InvalidArgument("invalid id \"" + text +
                             "\": the collection has no id column, so an id is a row's ordinal");
    }
    return RowKey(ordinal);
  }
  const arrow::DataType& type = *schema.columns->field(schema.id_column)->type();
  switch (type.id()) {
    case arrow::Type::INT8:
      return ParseInteger<int8_t>(type, text);
    case arrow::Type::UINT8:
      return ParseInteger<uint8_t>(type, text);
    case arrow::Type::INT16:
      return ParseInteger<int16_t>(type, text);
    case arrow::Type::UINT16:
      return ParseInteger<uint16_t>(type, text);
    case arrow::Type::INT32:
      return ParseInteger<int32_t>(type, text);
    case arrow::Type::UINT32:
      return ParseInteger<uint32_t>(type, text);
    case arrow::Type::INT64:
      return ParseInteger<int64_t>(type, text);
    case arrow::Type::UINT64:
      return ParseInteger<uint64_t>(type, text);
    default:
      return RowKey(text);
  }
}

uint64_t ShownId(const RowKey& key, uint64_t ordinal) {
  if (const auto* number = std::get_if<uint64_t>(&key)) {
    return *number;
  }
  uint64_t spelled = 0;
  return ParseWhole(std::get<std::string>(key), &spelled) ? spelled : ordinal;
}

}  // namespace longbow
