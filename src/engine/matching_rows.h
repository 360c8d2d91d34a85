// Which live rows pass a predicate: how many, or which.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/shard.h"
#include "engine/view.h"
#include "model/predicate.h"

namespace longbow::engine {

// Exactly, in the view of now. INVALID_ARGUMENT if the filter does not fit the columns; CANCELLED and
// DEADLINE_EXCEEDED between segments.
Result<uint64_t> CountMatching(const Shard& shard, const Predicate& filter, const Cancellation* cancellation);

struct MatchingRows {
  std::shared_ptr<const View> view;
  std::vector<uint64_t> ordinals;  // ascending
};
// The same rows, by their ordinals.
Result<MatchingRows> FindMatching(const Shard& shard, const Predicate& filter, const Cancellation* cancellation);

// The keys that name rows of the view in the log: their ids, or the ordinals themselves.
std::vector<RowKey> KeysOf(const View& view, const std::vector<uint64_t>& ordinals);

}  // namespace longbow::engine
