// A named set of rows: one shard, and what its writers agreed on but the log has not confirmed yet.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/ids.h"
#include "engine/shard.h"
#include "model/schema.h"

namespace longbow::engine {

// Shared by the catalog, the applying thread and requests in flight. A dropped one lives until the last lets go.
struct Collection {
  Collection(std::string collection_name, ShardId shard_id, const CollectionSchema& schema,
             const SegmentOptions& options)
      : name(std::move(collection_name)), shard(shard_id, schema, options), proposed_schema(schema) {}

  const std::string name;
  Shard shard;

  // Entries are checked against the state after all entries proposed before them, and enter the log in that order.
  std::mutex propose_mu;
  CollectionSchema proposed_schema;  // guarded by propose_mu
  LogIndex last_index;               // guarded by propose_mu
  bool dropped = false;              // guarded by propose_mu

  std::atomic<uint64_t> entries_in_flight{0};  // proposed, not yet applied
  std::atomic<uint64_t> rows_in_flight{0};     // of those that put rows
  // When a search came last; puts leave it room then.
  std::atomic<std::chrono::steady_clock::time_point> last_search{};
  // When linking first made way for puts since the graphs had last caught up; zero: they have.
  std::atomic<std::chrono::steady_clock::time_point> yielding_since{};
  uint64_t end_ordinal_at_open = 0;  // constant once the store is open: rows below were loaded, not put

  // What compactions remember. Guarded by the store's compaction_mu_.
  struct {
    std::pair<uint64_t, uint64_t> nothing_to_do_at;  // version and next segment of a view where all was well
    uint64_t seen_version = 0;                       // at the last look
    std::chrono::steady_clock::time_point paused_until{};
  } compaction;
};

}  // namespace longbow::engine
