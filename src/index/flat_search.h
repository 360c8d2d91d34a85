// Exact search: every row that the filter contains is measured.
#pragma once

#include <memory>
#include <utility>
#include <vector>

#include "index/vector_index.h"
#include "index/vector_rows.h"

namespace longbow::index {

// The min(k, contained) nearest rows of [filter.begin, filter.end), nearest first. query: [dimension], made for the
// type of the rows. Rows up to filter.end are published. Runs of contained rows are read as blocks, single ones
// gathered, so the cost is that of the contained rows. ef is ignored. Thread safe. Errors: CANCELLED,
// DEADLINE_EXCEEDED, checked every few thousand rows.
Result<std::vector<Neighbor>> FlatSearch(const VectorRows& rows, const TypedQuery& query, const SearchOptions& options);

// FlatSearch as an index. Thread safe.
class FlatIndex final : public VectorIndex {
 public:
  explicit FlatIndex(std::shared_ptr<const VectorRows> rows) : rows_(std::move(rows)) {}

  Result<std::vector<Neighbor>> Search(const TypedQuery& query, const SearchOptions& options) const override {
    return FlatSearch(*rows_, query, options);
  }

 private:
  const std::shared_ptr<const VectorRows> rows_;
};

}  // namespace longbow::index
