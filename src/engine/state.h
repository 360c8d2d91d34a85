// What the log says: the state after the last applied entry. The same code serves replay and live entries.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "engine/collection.h"
#include "storage/log.h"

namespace longbow::engine {

// What the proposer of an entry has in memory already; empty on replay.
struct Proposed {
  std::shared_ptr<arrow::RecordBatch> rows;  // of kRows
  std::shared_ptr<Collection> collection;    // of kCreateCollection
};

// Used by one thread at a time.
class State {
 public:
  explicit State(SegmentOptions segment_options) : segment_options_(segment_options) {}

  // Errors: DATA_LOSS (the entry does not fit the state: a damaged or foreign log), RESOURCE_EXHAUSTED (no memory).
  Status Apply(const storage::LogRecord& record, const Proposed& proposed);

  // Start-up: a collection of the checkpoint, still without rows.
  Result<std::shared_ptr<Collection>> AddCollection(const std::string& name, ShardId shard,
                                                    const std::shared_ptr<arrow::Schema>& columns);
  void AddNamespace(const std::string& name) { namespaces_.insert(name); }
  void SetPosition(Lsn applied, ShardId next_shard);

  Lsn applied() const { return applied_; }
  ShardId next_shard() const { return next_shard_; }
  const std::map<ShardId, std::shared_ptr<Collection>>& collections() const { return collections_; }
  const std::set<std::string>& namespaces() const { return namespaces_; }

 private:
  Status ApplyToShard(const storage::LogRecord& record, const Proposed& proposed);
  Status ApplyCreate(const storage::LogRecord& record, const Proposed& proposed);

  const SegmentOptions segment_options_;
  Lsn applied_;
  ShardId next_shard_{1};
  std::map<ShardId, std::shared_ptr<Collection>> collections_;
  std::set<std::string> namespaces_;
};

}  // namespace longbow::engine
