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

Result<ArrayPtr> FloatsOf(const arrow::RecordBatch& rows, const std::string& name) {
  const ArrayPtr column = rows.GetColumnByName(name);
  if (column != nullptr && !arrow::is_floating(column->type_id())) {
    return InvalidArgument("column '" + name + "' must be a floating-point number, got " + column->type()->ToString());
  }
  return ColumnAs(rows, name, arrow::float64());
}

// The values of the list in one row, exactly.
Result<QueryVector> VectorAt(const arrow::Array& lists, int64_t row) {
  ArrayPtr values;
  if (lists.type_id() == arrow::Type::FIXED_SIZE_LIST) {
    values = static_cast<const arrow::FixedSizeListArray&>(lists).value_slice(row);
  } else if (lists.type_id() == arrow::Type::LIST) {
    values = static_cast<const arrow::ListArray&>(lists).value_slice(row);
  } else {
    return InvalidArgument("unsupported query_vector type: " + lists.type()->ToString());
  }
  const arrow::Type::type type = values->type_id();
  if (!arrow::is_integer(type) && !arrow::is_floating(type)) {
    return InvalidArgument("unsupported query_vector type: " + lists.type()->ToString());
  }
  if (values->null_count() > 0) {
    return InvalidArgument("column 'query_vector' holds nulls");
  }
  const auto as = arrow::is_floating(type)         ? arrow::float64()
                  : arrow::is_signed_integer(type) ? arrow::int64()
                                                   : arrow::uint64();
  const auto cast = arrow::compute::Cast(*values, as);  // widens: nothing is lost
  if (!cast.ok()) {
    return InvalidArgument("unsupported query_vector type: " + lists.type()->ToString());
  }
  QueryVector query;
  for (int64_t i = 0; i < values->length(); ++i) {
    if (as->id() == arrow::Type::DOUBLE) {
      query.Add(static_cast<const arrow::DoubleArray&>(**cast).Value(i));
    } else if (as->id() == arrow::Type::INT64) {
      query.Add(static_cast<const arrow::Int64Array&>(**cast).Value(i));
    } else {
      query.Add(static_cast<const arrow::UInt64Array&>(**cast).Value(i));
    }
  }
  return query;
}

}  // namespace

Result<std::vector<SearchRequest>> QueriesOf(const arrow::RecordBatch& rows, const SearchRequest& defaults) {
  if (!rows.ValidateFull().ok()) {
    return InvalidArgument("invalid batch: " + rows.ValidateFull().message());
  }
  LB_ASSIGN(const ArrayPtr datasets, ColumnAs(rows, "dataset", arrow::utf8()));
  if (datasets == nullptr && defaults.collection.empty()) {
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
  LB_ASSIGN(const ArrayPtr recall_targets, FloatsOf(rows, "recall_target"));
  std::vector<SearchRequest> requests(static_cast<size_t>(rows.num_rows()), defaults);
  for (int64_t row = 0; row < rows.num_rows(); ++row) {
    SearchRequest& request = requests[static_cast<size_t>(row)];
    if (datasets != nullptr) {
      request.collection = static_cast<const arrow::StringArray&>(*datasets).GetString(row);
    }
    if (ks != nullptr) {
      request.k = static_cast<const arrow::Int64Array&>(*ks).Value(row);
    }
    if (efs != nullptr) {
      const int64_t ef = static_cast<const arrow::Int64Array&>(*efs).Value(row);
      request.ef = ef <= 0 ? 0 : static_cast<uint32_t>(std::min<int64_t>(ef, UINT32_MAX));
      request.recall_target.reset();  // one takes the place of the other
    }
    const double target =
        recall_targets == nullptr ? 0 : static_cast<const arrow::DoubleArray&>(*recall_targets).Value(row);
    if (target != 0) {  // as an ef of 0: nothing was asked for
      request.recall_target = target;
      if (efs == nullptr) {
        request.ef = 0;
      }
    }
    LB_ASSIGN(QueryVector query, VectorAt(*vectors, row));
    request.vectors.push_back(std::move(query));
  }
  return requests;
}

}  // namespace longbow::node
