// What a collection's columns are and which of them mean something to the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/status.h"
#include "model/element_type.h"
#include "model/metric.h"
#include "model/row_key.h"

namespace arrow {
class Array;
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow {

// Immutable once built. Column roles are found by name: `id`, and `vector` (else `embedding`).
struct CollectionSchema {
  std::shared_ptr<arrow::Schema> columns;  // with the metadata of the first put
  int id_column = -1;                      // -1: rows are known by their ordinal only
  int vector_column = -1;                  // -1: a plain table, not searchable
  uint32_t dimension = 0;                  // values per row in the vector column (2 x logical dimension for complex)
  ElementType element = ElementType::kFloat32;  // of those values: the parts of complex numbers, bfloat16 in uint16
  Metric metric = Metric::kL2;
  int expiry_column = -1;   // timestamps at which rows are gone (expiry.h); -1: rows stay
  uint64_t version = 1;     // counts the changes of columns
  int64_t ttl_seconds = 0;  // what rows put without such a time get to live; 0: for ever

  // INVALID_ARGUMENT for an unusable id or vector type, an unknown metric or one that makes no sense for the elements,
  // a duplicate or over-long column name, a type that cannot be stored as Parquet, an expiry that makes no sense. If
  // the metadata asks for expiry and the column for it is missing, it is there in the result.
  static Result<CollectionSchema> FromArrow(const std::shared_ptr<arrow::Schema>& schema);
  // The same for the schema that a client creates a collection with: the version begins anew, whatever its metadata
  // say.
  static Result<CollectionSchema> FromFirstPut(const std::shared_ptr<arrow::Schema>& schema);

  // The schema after a put with `incoming` columns: new columns are added, missing ones (not id, not vector) allowed; a
  // column of a wider type (widening.h) becomes that, a narrower one is taken; other types are refused: `schema
  // mismatch: type mismatch for column "id": existing=int64, new=utf8 (...)`. A collection without vectors gets them by
  // the first put that has some, with the metric that it states; the rows before have none. Returns *this when nothing
  // changes.
  Result<CollectionSchema> Merge(const std::shared_ptr<arrow::Schema>& incoming) const;

  // The schema once rows put from now on live for `ttl_seconds` (0: for ever) unless `column`, the expiry column, says
  // otherwise. INVALID_ARGUMENT as FromArrow, and if another column is the expiry column already.
  Result<CollectionSchema> WithTtl(int64_t ttl_seconds, const std::optional<std::string>& column) const;
};

// Full validation of rows from outside against the schema they are merged into: Arrow's ValidateFull, no null ids, no
// null vectors or elements, no NaN or infinity. Messages name column and row.
Status ValidateRows(const CollectionSchema& schema, const arrow::RecordBatch& rows);

// `rows` with exactly the columns of `schema`, in its order: absent ones null, narrower ones widened. Columns that fit
// are shared.
Result<std::shared_ptr<arrow::RecordBatch>> ConformTo(const CollectionSchema& schema, const arrow::RecordBatch& rows);

// The vector column of rows that have no vectors; takes address space, not memory. RESOURCE_EXHAUSTED if even that
// is not there.
Result<std::shared_ptr<arrow::Array>> NullVectors(const CollectionSchema& schema, int64_t rows);

// Key of row `i` of an id column (integer or text types as accepted by FromArrow; not null).
RowKey KeyAt(const arrow::Array& ids, int64_t i);
// The key that `text` names in a collection: parsed as the id column's type, or as an ordinal where there is none.
Result<RowKey> ParseKey(const CollectionSchema& schema, const std::string& text);
// What search results show for a row: the integer; the number a text id spells if it is one; else the ordinal.
uint64_t ShownId(const RowKey& key, uint64_t ordinal);

// Copies the vector column of n rows as it is: out: [n, dimension] of schema.element.
Status CopyVectors(const CollectionSchema& schema, const arrow::RecordBatch& rows, void* out);

}  // namespace longbow
