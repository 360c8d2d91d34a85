// What a segment keeps so that filtered searches need not read its columns: indexes, built behind the queries' backs.
#pragma once

#include <cstdint>

#include "engine/chunk_list.h"
#include "filter/filter_index.h"
#include "model/schema.h"

namespace longbow::engine {

// Rows [0, result) stand in chunks that will neither be joined with others nor grow.
uint32_t StableRows(const Chunks& chunks);

// One for each segment. Queries note what they filter on, index threads build, queries use what is there. Thread safe.
class SegmentFilters {
 public:
  explicit SegmentFilters(const filter::AdaptiveFilterIndex::Options& options) : index_(options) {}

  filter::AdaptiveFilterIndex& index() { return index_; }

  // Builds the one thing that is wanted most; false: nothing to do. `chunks`: of a pinned view, in its schema.
  bool BuildSome(const CollectionSchema& schema, const Chunks& chunks);

 private:
  filter::AdaptiveFilterIndex index_;
};

}  // namespace longbow::engine
