#include <arrow/array/util.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include "model/schema.h"
#include "model/widening.h"

namespace longbow {

Result<std::shared_ptr<arrow::RecordBatch>> ConformTo(const CollectionSchema& schema, const arrow::RecordBatch& rows) {
  const int count = schema.columns->num_fields();
  if (rows.schema()->Equals(*schema.columns, false)) {
    return arrow::RecordBatch::Make(schema.columns, rows.num_rows(), rows.columns());
  }
  std::vector<std::shared_ptr<arrow::Array>> columns(count);
  for (int i = 0; i < count; ++i) {
    const auto& field = schema.columns->field(i);
    columns[i] = rows.GetColumnByName(field->name());
    if (columns[i] == nullptr && i == schema.vector_column) {
      LB_ASSIGN(columns[i], NullVectors(schema, rows.num_rows()));
    } else if (columns[i] == nullptr) {
      auto nulls = arrow::MakeArrayOfNull(field->type(), rows.num_rows());
      if (!nulls.ok()) {
        return ResourceExhausted("no memory for column \"" + field->name() + "\": " + nulls.status().message());
      }
      columns[i] = *std::move(nulls);
    } else if (i != schema.vector_column) {
      LB_ASSIGN(columns[i], Widen(columns[i], field->type()));
    }
  }
  return arrow::RecordBatch::Make(schema.columns, rows.num_rows(), std::move(columns));
}

}  // namespace longbow
