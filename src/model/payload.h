// New values for columns of rows that exist: all but their id and their vector.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/schema.h"

namespace longbow {

// A scalar as a request wrote it; std::monostate is null.
using PayloadValue = std::variant<std::monostate, bool, int64_t, uint64_t, double, std::string>;

struct PayloadColumn {
  std::string name;
  PayloadValue value;
};

// One row of those columns, in the types of `schema`. Text is read as the column's type where that is no text
// ("2026-01-31T12:00:00Z"); whole numbers are taken by columns of numbers that can hold them, and by times in their
// unit. INVALID_ARGUMENT, naming the column, for anything else and for what CheckPayload refuses.
Result<std::shared_ptr<arrow::RecordBatch>> PayloadRow(const CollectionSchema& schema,
                                                       const std::vector<PayloadColumn>& columns);

// Whether rows of `schema` can be given these values: columns that exist, each once, of their type or a narrower one,
// neither id nor vector; no null where the schema declares none; no time to end before 1970. INVALID_ARGUMENT.
Status CheckPayload(const CollectionSchema& schema, const arrow::RecordBatch& values);

// `rows`, of exactly the schema's columns, with what CheckPayload took in the place of theirs: row i gets row
// value_rows[i] of `values`. RESOURCE_EXHAUSTED if there is no memory for it.
Result<std::shared_ptr<arrow::RecordBatch>> WithPayload(const CollectionSchema& schema, const arrow::RecordBatch& rows,
                                                        const arrow::RecordBatch& values,
                                                        const std::vector<int64_t>& value_rows);

// The values at `indices`, in that order, of any type that rows may have.
Result<std::shared_ptr<arrow::Array>> TakeValues(const std::shared_ptr<arrow::Array>& values,
                                                 const std::vector<int64_t>& indices);

}  // namespace longbow
