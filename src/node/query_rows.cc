#include "node/query_rows.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>

#include <string>

namespace longbow::node {
namespace {

using ArrayPtr = std::shared_ptr<arrow::Array>;

// The column as `type`, whatever related type it came as; null if it is absent.
Result<ArrayPtr> ColumnAs(const arrow::RecordBatch& rows, const std::string& name,
                          const std::shared_ptr<arrow::DataType>& type) {
  const ArrayPtr column = rows.GetColumnByName(name);
  if (column == nullptr) {
    return ArrayPtr();
  }
  if (column->null_count() > 0) {
    return InvalidArgument("column '" + name + "' holds nulls");
  }
  if (column->type()->Equals(type)) {
    return column;
  }
  auto cast = arrow::compute::Cast(*column, type, arrow::compute::CastOptions::Safe());
  if (!cast.ok()) {
    return InvalidArgument("column '" + name + "' must be " + type->ToString() + ", got " + column->type()->ToString() +
                           ": " + cast.status().message());
  }
  return *cast;
}

Result<ArrayPtr> IntegersOf(const arrow::RecordBatch& rows, const std::string& name) {
  const ArrayPtr column = rows.GetColumnByName(name);
  if (column != nullptr && !arrow::is_integer(column->type_id())) {
    return InvalidArgument("column '" + name + "' must be an integer, got " + column->type()->ToString());
  }
  return ColumnAs(rows, name, arrow::int64());
}

// The values of the list in one row, as float32.
Result<std::vector<float>> VectorAt(const arrow::Array& lists, int64_t row) {
  ArrayPtr values;
  if (lists.type_id() == arrow::Type::FIXED_SIZE_LIST) {
    values = static_cast<const arrow::FixedSizeListArray&>(lists).value_slice(row);
  } else if (lists.type_id() == arrow::Type::LIST) {
    values = static_cast<const arrow::ListArray&>(lists).value_slice(row);
  } else {
    return InvalidArgument("unsupported query_vector type: " + lists.type()->ToString());
  }
  if (!arrow::is_integer(values->type_id()) && !arrow::is_floating(values->type_id())) {
    return InvalidArgument("unsupported query_vector type: " + lists.type()->ToString());
  }
  if (values->null_count() > 0) {
    return InvalidArgument("column 'query_vector' holds nulls");
  }
  const auto floats = arrow::compute::Cast(*values, arrow::float32(), arrow::compute::CastOptions::Unsafe());
  if (!floats.ok()) {
    return InvalidArgument("unsupported query_vector type: " + lists.type()->ToString());
  }
  const auto& array = static_cast<const arrow::FloatArray&>(**floats);
  return std::vector<float>(array.raw_values(), array.raw_values() + array.length());
}

}  // namespace

Result<std::vector<SearchRequest>> QueriesOf(const arrow::RecordBatch& rows) {
  if (!rows.ValidateFull().ok()) {
    return InvalidArgument("invalid batch: " + rows.ValidateFull().message());
  }
  LB_ASSIGN(const ArrayPtr datasets, ColumnAs(rows, "dataset", arrow::utf8()));
  if (datasets == nullptr) {
    return InvalidArgument("missing 'dataset' column");
  }
  const ArrayPtr vectors = rows.GetColumnByName("query_vector");
  if (vectors == nullptr) {
    return InvalidArgument("missing 'query_vector' column");
  }
  if (vectors->null_count() > 0) {
    return InvalidArgument("column 'query_vector' holds nulls");
  }
  LB_ASSIGN(const ArrayPtr ks, IntegersOf(rows, "k"));
  LB_ASSIGN(const ArrayPtr efs, IntegersOf(rows, "ef"));
  std::vector<SearchRequest> requests(static_cast<size_t>(rows.num_rows()));
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    SearchRequest& request = requests[static_cast<size_t>(row)];
    request.collection = static_cast<const arrow::StringArray&>(*datasets).GetString(row);
    if (ks != nullptr) {
      request.k = static_cast<const arrow::Int64Array&>(*ks).Value(row);
    }
    if (efs != nullptr) {
      const int64_t ef = static_cast<const arrow::Int64Array&>(*efs).Value(row);
      request.ef = ef <= 0 ? 0 : static_cast<uint32_t>(std::min<int64_t>(ef, UINT32_MAX));
    }
    LB_ASSIGN(std::vector<float> query, VectorAt(*vectors, row));
    request.vectors.push_back(std::move(query));
  }
  return requests;
}

}  // namespace longbow::node
