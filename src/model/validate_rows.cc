#include <arrow/array.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "base/limits.h"
#include "model/expiry.h"
#include "model/schema.h"
#include "model/type_name.h"
#include "model/vectors.h"
#include "model/widening.h"

namespace longbow {
namespace {

std::string Where(const std::string& column, int64_t row) {
  return "column \"" + column + "\", row " + std::to_string(row) + ": ";
}

// First null in [begin, begin + count) of an array that has some; -1 if none is there.
int64_t FirstNull(const arrow::Array& array, int64_t begin, int64_t count) {
  if (array.null_count() == 0) {
    return -1;
  }
  for (int64_t i = begin; i < begin + count; ++i) {
    if (array.IsNull(i)) {
      return i;
    }
  }
  return -1;
}

// Fields declared not null must hold no null: Parquet would refuse them when it is too late to tell the client.
Status CheckDeclaredNulls(const arrow::Field& field, const arrow::Array& array, const std::string& column) {
  if (!field.nullable() && array.null_count() != 0) {
    return InvalidArgument("column \"" + column + "\" has " + std::to_string(array.null_count()) +
                           " nulls in field \"" + field.name() + "\", which the schema declares not null");
  }
  const auto& children = array.data()->child_data;
  for (int i = 0; i < field.type()->num_fields() && static_cast<size_t>(i) < children.size(); ++i) {
    LB_TRY(CheckDeclaredNulls(*field.type()->field(i), *arrow::MakeArray(children[static_cast<size_t>(i)]), column));
  }
  return {};
}

template <typename ArrayType>
int64_t FirstOverlong(const arrow::Array& ids) {
  const auto& text = static_cast<const ArrayType&>(ids);
  for (int64_t i = 0; i < ids.length(); ++i) {
    if (static_cast<size_t>(text.value_length(i)) > limits::kIdSizeMaxBytes) {
      return i;
    }
  }
  return -1;
}

Status CheckIds(const arrow::Field& field, const arrow::RecordBatch& rows) {
  const auto ids = rows.GetColumnByName(field.name());
  if (ids == nullptr) {
    return InvalidArgument("column \"" + field.name() + "\" is missing: the collection needs it in every put");
  }
  if (!ids->type()->Equals(*field.type()) && !IsWidening(*ids->type(), *field.type())) {
    return InvalidArgument("schema mismatch: type mismatch for column \"" + field.name() +
                           "\": existing=" + TypeName(*field.type()) + ", new=" + TypeName(*ids->type()));
  }
  if (const int64_t row = FirstNull(*ids, 0, ids->length()); row >= 0) {
    return InvalidArgument(Where(field.name(), row) + "the id is null");
  }
  int64_t overlong = -1;
  if (ids->type_id() == arrow::Type::STRING) {
    overlong = FirstOverlong<arrow::StringArray>(*ids);
  } else if (ids->type_id() == arrow::Type::LARGE_STRING) {
    overlong = FirstOverlong<arrow::LargeStringArray>(*ids);
  }
  if (overlong >= 0) {
    return InvalidArgument(Where(field.name(), overlong) + "the id is longer than " +
                           std::to_string(limits::kIdSizeMaxBytes) + " bytes");
  }
  return {};
}

Status CheckVectors(const CollectionSchema& schema, const arrow::RecordBatch& rows) {
  LB_ASSIGN(const VectorElements elements, ElementsOf(schema, rows));
  const std::string& name = schema.columns->field(schema.vector_column)->name();
  const auto& list = static_cast<const arrow::FixedSizeListArray&>(*elements.list);
  if (const int64_t row = FirstNull(list, 0, list.length()); row >= 0) {
    return InvalidArgument(Where(name, row) + "the vector is null");
  }
  if (const int64_t at = FirstNull(*list.values(), elements.first_in_values, elements.count); at >= 0) {
    const int64_t element = at - elements.first_in_values;
    return InvalidArgument(Where(name, element / schema.dimension) + "element " +
                           std::to_string(element % schema.dimension) + " of the vector is null");
  }
  if (const int64_t element = FirstNotFinite(elements); element >= 0) {
    return InvalidArgument(Where(name, element / schema.dimension) + "element " +
                           std::to_string(element % schema.dimension) +
                           " of the vector is NaN, infinite or beyond the range of float32");
  }
  return {};
}

}  // namespace

Status ValidateRows(const CollectionSchema& schema, const arrow::RecordBatch& rows) {
  if (const arrow::Status valid = rows.ValidateFull(); !valid.ok()) {
    return InvalidArgument("invalid Arrow data: " + valid.message());
  }
  if (schema.id_column >= 0) {
    LB_TRY(CheckIds(*schema.columns->field(schema.id_column), rows));
  }
  if (schema.vector_column >= 0) {
    LB_TRY(CheckVectors(schema, rows));
  }
  if (schema.expiry_column >= 0) {
    const std::string& name = schema.columns->field(schema.expiry_column)->name();
    if (const auto times = rows.GetColumnByName(name); times != nullptr) {
      LB_TRY(CheckExpiryTimes(name, *times));
    }
  }
  for (int i = 0; i < rows.num_columns(); ++i) {
    LB_TRY(CheckDeclaredNulls(*rows.schema()->field(i), *rows.column(i), rows.column_name(i)));
  }
  return {};
}

}  // namespace longbow
