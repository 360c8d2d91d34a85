// What a segment keeps so that filtered searches need not read its columns: made behind the queries' backs.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "base/cancellation.h"
#include "engine/chunk_list.h"
#include "engine/selection_cache.h"
#include "filter/filter_index.h"
#include "index/projection.h"
#include "model/schema.h"

namespace longbow::engine {

// Rows [0, result) stand in chunks that will neither be joined with others nor grow.
uint32_t StableRows(const Chunks& chunks);

// The indexes of a segment's columns, and projections of its vectors in the order of some of them. Queries note what
// they filter on and what they miss, index threads build it, queries use what is there. Thread safe.
class SegmentFilters {
 public:
  explicit SegmentFilters(const filter::AdaptiveFilterIndex::Options& options) : index_(options) {}

  filter::AdaptiveFilterIndex& index() { return index_; }
  // Which rows passed earlier predicates.
  SelectionCache& selections() { return selections_; }

  // A projection in the order of this very index of a column (positions are those of its RowsInOrder); null: none.
  std::shared_ptr<const index::Projection> ProjectionOf(const filter::ColumnIndex& column) const;
  // A search would have used one of column `field`.
  void NoteProjectionWanted(const std::string& field);

  // Builds the one thing that is wanted most; false: nothing to do. `chunks`: of a pinned view, in its schema.
  // `vectors`: null where the collection has none. A projection that is cancelled is due again.
  bool BuildSome(const CollectionSchema& schema, const Chunks& chunks, const index::VectorRows* vectors,
                 const Cancellation* cancellation = nullptr);

  // Bytes of all indexes, projections and cached selections.
  size_t size_bytes() const;
  // Gives all of it up, where memory is short: what is asked for again is built again.
  void Clear();

 private:
  struct Projected {
    std::shared_ptr<const filter::ColumnIndex> column;
    std::shared_ptr<const index::Projection> projection;
  };
  bool BuildColumn(const CollectionSchema& schema, const Chunks& chunks);
  bool BuildProjection(const index::VectorRows& vectors, const Cancellation* cancellation);

  filter::AdaptiveFilterIndex index_;
  SelectionCache selections_;
  mutable std::mutex mu_;
  std::map<std::string, uint64_t> projections_wanted_;  // guarded by mu_: by how many searches
  std::map<std::string, Projected> projections_;        // guarded by mu_
  std::shared_ptr<const index::CodeSpace> space_;       // guarded by mu_
  bool projecting_ = false;                             // guarded by mu_
};

}  // namespace longbow::engine
