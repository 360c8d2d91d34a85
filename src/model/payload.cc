#include "model/payload.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <set>

#include "model/expiry.h"
#include "model/type_name.h"
#include "model/widening.h"

namespace longbow {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;

bool IsText(const arrow::DataType& type) { return arrow::is_base_binary_like(type.id()); }

// What a request's value is before it is made to fit; null if its kind never fits the type.
std::shared_ptr<arrow::Scalar> ScalarOf(const PayloadValue& value, const arrow::DataType& type) {
  if (const auto* text = std::get_if<std::string>(&value)) {
    return std::make_shared<arrow::StringScalar>(*text);
  }
  if (const auto* truth = std::get_if<bool>(&value)) {
    return type.id() == arrow::Type::BOOL ? std::make_shared<arrow::BooleanScalar>(*truth) : nullptr;
  }
  if (type.id() == arrow::Type::BOOL || IsText(type)) {
    return nullptr;
  }
  if (const auto* number = std::get_if<int64_t>(&value)) {
    return std::make_shared<arrow::Int64Scalar>(*number);
  }
  if (const auto* number = std::get_if<uint64_t>(&value)) {
    return std::make_shared<arrow::UInt64Scalar>(*number);
  }
  return std::make_shared<arrow::DoubleScalar>(std::get<double>(value));
}

std::string Described(const PayloadValue& value) {
  switch (value.index()) {
    case 1:
      return std::get<bool>(value) ? "true" : "false";
    case 2:
      return std::to_string(std::get<int64_t>(value));
    case 3:
      return std::to_string(std::get<uint64_t>(value));
    case 4:
      return std::to_string(std::get<double>(value));
    case 5:
      return "\"" + std::get<std::string>(value).substr(0, 64) + "\"";
    default:
      return "null";
  }
}

Status DoesNotFit(const arrow::Field& field, const PayloadValue& value, const std::string& why) {
  return InvalidArgument("cannot set column \"" + field.name() + "\" of type " + TypeName(*field.type()) + " to " +
                         Described(value) + why);
}

// [1] of the field's type.
Result<ArrayPtr> ValueColumn(const arrow::Field& field, const PayloadValue& value) {
  if (std::holds_alternative<std::monostate>(value)) {
    auto null = arrow::MakeArrayOfNull(field.type(), 1);
    return null.ok() ? Result<ArrayPtr>(*null) : DoesNotFit(field, value, ": " + null.status().message());
  }
  const auto* dictionary = field.type()->id() == arrow::Type::DICTIONARY
                               ? static_cast<const arrow::DictionaryType*>(field.type().get())
                               : nullptr;
  const std::shared_ptr<arrow::DataType> type = dictionary == nullptr ? field.type() : dictionary->value_type();
  if (arrow::is_nested(type->id())) {
    return DoesNotFit(field, value, ": only columns of plain values can be set so; put the row again");
  }
  const std::shared_ptr<arrow::Scalar> scalar = ScalarOf(value, *type);
  if (scalar == nullptr) {
    return DoesNotFit(field, value, "");
  }
  const auto one = arrow::MakeArrayFromScalar(*scalar, 1);
  if (!one.ok()) {
    return ResourceExhausted("no memory for a value of column \"" + field.name() + "\"");
  }
  const auto cast = arrow::compute::Cast(**one, type, arrow::compute::CastOptions::Safe());
  if (!cast.ok()) {
    return DoesNotFit(field, value, ": " + cast.status().message());
  }
  if (dictionary == nullptr) {
    return *cast;
  }
  const auto zero = arrow::MakeArrayFromScalar(arrow::Int8Scalar(0), 1);
  const auto index = arrow::compute::Cast(**zero, dictionary->index_type());
  const auto entry = arrow::DictionaryArray::FromArrays(field.type(), *index, *cast);
  return entry.ok() ? Result<ArrayPtr>(*entry) : DoesNotFit(field, value, ": " + entry.status().message());
}

}  // namespace

Result<std::shared_ptr<arrow::RecordBatch>> PayloadRow(const CollectionSchema& schema,
                                                       const std::vector<PayloadColumn>& columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector values;
  for (const PayloadColumn& column : columns) {
    const int at = schema.columns->GetFieldIndex(column.name);
    if (at < 0) {
      return InvalidArgument("unknown column \"" + column.name + "\": an update sets columns that the dataset has");
    }
    fields.push_back(schema.columns->field(at));
    if (at == schema.id_column || at == schema.vector_column) {
      return InvalidArgument("column \"" + column.name + "\" cannot be set: put the row again");
    }
    LB_ASSIGN(ArrayPtr value, ValueColumn(*fields.back(), column.value));
    values.push_back(std::move(value));
  }
  auto row = arrow::RecordBatch::Make(arrow::schema(std::move(fields)), 1, std::move(values));
  LB_TRY(CheckPayload(schema, *row));
  return row;
}

Status CheckPayload(const CollectionSchema& schema, const arrow::RecordBatch& values) {
  if (values.num_columns() == 0) {
    return InvalidArgument("an update needs at least one column to set");
  }
  if (const arrow::Status valid = values.ValidateFull(); !valid.ok()) {
    return InvalidArgument("invalid Arrow data: " + valid.message());
  }
  std::set<std::string> names;
  for (int i = 0; i < values.num_columns(); ++i) {
    const std::string& name = values.column_name(i);
    const int at = schema.columns->GetFieldIndex(name);
    if (!names.insert(name).second) {
      return InvalidArgument("column \"" + name + "\" stands twice in an update");
    }
    if (at < 0) {
      return InvalidArgument("unknown column \"" + name + "\": an update sets columns that the dataset has");
    }
    if (at == schema.id_column || at == schema.vector_column) {
      return InvalidArgument("column \"" + name + "\" cannot be set: put the row again");
    }
    const arrow::Field& field = *schema.columns->field(at);
    const arrow::Array& column = *values.column(i);
    if (!column.type()->Equals(*field.type()) && !IsWidening(*column.type(), *field.type())) {
      return InvalidArgument("schema mismatch: type mismatch for column \"" + name +
                             "\": existing=" + TypeName(*field.type()) + ", new=" + TypeName(*column.type()));
    }
    if (!field.nullable() && column.null_count() != 0) {
      return InvalidArgument("column \"" + name + "\" cannot be set to null: the schema declares it not null");
    }
    if (at == schema.expiry_column) {
      LB_TRY(CheckExpiryTimes(name, column));
    }
  }
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> WithPayload(const CollectionSchema& schema, const arrow::RecordBatch& rows,
                                                        const arrow::RecordBatch& values,
                                                        const std::vector<int64_t>& value_rows) {
  arrow::ArrayVector columns = rows.columns();
  for (int i = 0; i < values.num_columns(); ++i) {
    const int at = schema.columns->GetFieldIndex(values.column_name(i));
    LB_ASSIGN(const ArrayPtr taken, TakeValues(values.column(i), value_rows));
    LB_ASSIGN(columns[static_cast<size_t>(at)], Widen(taken, schema.columns->field(at)->type()));
  }
  return arrow::RecordBatch::Make(schema.columns, rows.num_rows(), std::move(columns));
}

Result<std::shared_ptr<arrow::Array>> TakeValues(const std::shared_ptr<arrow::Array>& values,
                                                 const std::vector<int64_t>& indices) {
  const auto wanted =
      std::make_shared<arrow::Int64Array>(static_cast<int64_t>(indices.size()), arrow::Buffer::Wrap(indices));
  if (const auto taken = arrow::compute::Take(values, arrow::Datum(wanted)); taken.ok()) {
    return taken->make_array();
  }
  // A type that the kernel does not know: every value is cut out, and all are joined.
  arrow::ArrayVector pieces;
  for (const int64_t index : indices) {
    pieces.push_back(values->Slice(index, 1));
  }
  const auto joined = pieces.empty() ? arrow::MakeEmptyArray(values->type()) : arrow::Concatenate(pieces);
  if (!joined.ok()) {
    return Status(joined.status().IsOutOfMemory() ? StatusCode::kResourceExhausted : StatusCode::kInternal,
                  "values of type " + values->type()->ToString() + ": " + joined.status().message());
  }
  return *joined;
}

}  // namespace longbow
