// The one search function: Flight, gRPC and tests come through here.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/ids.h"
#include "base/status.h"
#include "engine/view.h"
#include "model/explanation.h"
#include "model/query.h"

namespace arrow {
class RecordBatch;
}

namespace longbow::engine {

struct SearchDefaults {
  uint32_t ef = 128;
};

// Answer to one query vector.
struct QueryResult {
  std::vector<Hit> hits;                         // best first
  std::vector<std::string> vectors;              // with include_vectors: each hit's vector, see vector_bytes.h
  std::shared_ptr<arrow::RecordBatch> columns;   // [hits]: those that were asked for; null if none was
  std::optional<SearchExplanation> explanation;  // with explain
  bool truncated = false;                        // with radius or score_min: more than k rows are within
  std::string cursor;                            // of a paged search: where the next page begins; empty: there is none
};

// One result per query vector, in order. Every live row of the view that passes the filter is a candidate, whether it
// is in a graph yet or not; k rows come back whenever k exist (with a radius or score_min: of those within, the k
// nearest; a walk may miss some of them as it may miss others). Errors: INVALID_ARGUMENT (k, dimension, filter, NaN),
// FAILED_PRECONDITION (no vector column, no text column, a cursor of an older schema), CANCELLED, DEADLINE_EXCEEDED.
// Thread safe. `shard`: whose view it is, for cursors.
Result<std::vector<QueryResult>> Search(const View& view, const SearchRequest& request, const SearchDefaults& defaults,
                                        const Cancellation* cancellation, ShardId shard = ShardId{0});

// The stored vector of a row, exactly: [dimension].
Result<QueryVector> VectorOf(const View& view, uint64_t ordinal);
// The number a client sees for a row.
uint64_t ShownIdOf(const View& view, uint64_t ordinal);

}  // namespace longbow::engine
