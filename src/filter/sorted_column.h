// The rows of one column in the order of their values: what a column index is made from.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace arrow {
struct ArrayData;
class DataType;
class RecordBatch;
}  // namespace arrow

namespace longbow::filter {

// Rows [first_row, first_row + rows->num_rows()) of a segment.
struct PlacedRows {
  uint32_t first_row = 0;
  std::shared_ptr<const arrow::RecordBatch> rows;
};

struct SortedColumn {
  // Distinct values, ascending as the operators order them; text and binary of every form as large_binary. Without
  // nulls and NaN, which no comparison finds.
  std::shared_ptr<const arrow::ArrayData> values;
  std::vector<uint32_t> starts;  // [distinct + 1]: rows order[starts[v], starts[v + 1]) hold value v, ascending
  std::vector<uint32_t> order;
  std::vector<uint64_t> valid;    // bitmap of the rows that are not null
  std::vector<uint64_t> ordered;  // bitmap of the rows in `order`; empty where it equals `valid`
  uint64_t valid_count = 0;
};

// The type whose values a column of `type` holds: dictionaries and extensions unwrapped.
std::shared_ptr<arrow::DataType> ValueTypeOf(const std::shared_ptr<arrow::DataType>& type);
// The column as its storage type; null stays null.
std::shared_ptr<const arrow::ArrayData> UnwrapExtension(const std::shared_ptr<arrow::ArrayData>& column);

// A column from before its schema widened, with the values as `type`; null if that is not wider than what it holds.
std::shared_ptr<arrow::ArrayData> WidenedTo(const std::shared_ptr<arrow::DataType>& type,
                                            const std::shared_ptr<arrow::ArrayData>& column);

// Sorts column `field` of rows [0, rows), which `batches` hold, ascending and without gaps; a batch without the column
// has nulls. `type`: what ValueTypeOf says of the column. Nothing for a type without an order of at most 64 bits or
// text (wide decimals, lists, ...), where a batch holds another type than `type` that is no narrower one, or where the
// distinct texts would take more than `text_max_bytes`: such columns are evaluated row by row.
std::optional<SortedColumn> SortColumn(const std::string& field, const std::shared_ptr<arrow::DataType>& type,
                                       std::span<const PlacedRows> batches, uint32_t rows, size_t text_max_bytes);

}  // namespace longbow::filter
