// The column indexes of one segment, made by themselves for the columns that queries filter on.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "filter/column_index.h"
#include "filter/evaluate.h"

namespace longbow::filter {

// Immutable: one state of a segment's indexes. Columns may be indexed up to different rows.
class FilterIndex {
 public:
  using Columns = std::map<std::string, std::shared_ptr<const ColumnIndex>, std::less<>>;
  FilterIndex() = default;
  explicit FilterIndex(Columns columns) : columns_(std::move(columns)) {}

  std::shared_ptr<const ColumnIndex> Find(std::string_view field) const {
    const auto it = columns_.find(field);
    return it == columns_.end() ? nullptr : it->second;
  }
  const Columns& columns() const { return columns_; }
  size_t size_bytes() const;

 private:
  Columns columns_;
};

// A segment's indexes as they come and grow. Queries note what they filter on; a background thread builds what was
// noted, the most used columns first, within a budget of bytes for each row; readers take the current state. A column
// is built again once the rows that its index lacks are a quarter of those it has. Thread safe; Build by one thread at
// a time, others find nothing to do meanwhile.
class AdaptiveFilterIndex {
 public:
  struct Options {
    uint32_t rows_min = 4096;            // smaller segments are read as fast as indexed
    size_t size_max_bytes_per_row = 64;  // of all columns together
  };
  AdaptiveFilterIndex() : AdaptiveFilterIndex(Options()) {}
  explicit AdaptiveFilterIndex(Options options);

  std::shared_ptr<const FilterIndex> current() const;
  // Gives all of them up: built again once they are asked for.
  void Clear();
  // Counts the columns and operators of a request.
  void NoteUse(const BoundPredicate& predicate);

  // `schema`: as of now; an index of a column that has another type there is of no use any more. `stable_rows`: rows
  // [0, stable_rows) and their batches will not change any more.
  bool HasWork(const arrow::Schema& schema, uint32_t stable_rows) const;
  // Builds one column over `batches`, which hold exactly the rows [0, stable_rows) in order, of the schema's types or
  // narrower ones; false: nothing to do.
  bool Build(const arrow::Schema& schema, std::span<const PlacedRows> batches, uint32_t stable_rows);

 private:
  struct Use {
    uint64_t count = 0;
    bool contains = false;  // asked for substrings
    // No index, or none of substrings, was possible with so many rows: not tried again before they have doubled.
    uint32_t refused_rows = 0;
    uint32_t trigrams_refused_rows = 0;
  };
  // What to build next; null: nothing. Caller holds mu_.
  const std::pair<const std::string, Use>* NextLocked(const arrow::Schema& schema, uint32_t stable_rows) const;

  const Options options_;
  mutable std::mutex mu_;
  std::map<std::string, Use, std::less<>> uses_;  // guarded by mu_
  std::shared_ptr<const FilterIndex> current_;    // guarded by mu_
  bool building_ = false;                         // guarded by mu_
};

}  // namespace longbow::filter
