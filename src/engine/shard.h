// The unit of replication and the only door to the rows of a collection: log entries go in, views come out.
//
// One thread applies entries, in log order; any number of threads read. Apply is deterministic: what it does depends on
// the entry and the state only.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <vector>

#include "base/ids.h"
#include "base/status.h"
#include "engine/row_ids.h"
#include "engine/segment.h"
#include "engine/view.h"
#include "model/row_key.h"
#include "model/schema.h"

namespace longbow::engine {

class Shard {
 public:
  Shard(ShardId id, CollectionSchema schema, SegmentOptions options);

  ShardId id() const { return id_; }

  // ---- the applying thread ----
  // Appends rows, already validated; a row whose id exists replaces the older one. `index`: the entry's, > the last
  // one. Errors are RESOURCE_EXHAUSTED (no memory) or bugs; the shard must not be used for writing after one.
  // `put_time_ns`: the entry's, from which rows live as long as the collection says.
  Status ApplyRows(const std::shared_ptr<arrow::RecordBatch>& rows, LogIndex index, int64_t put_time_ns = 0);
  // Puts the vectors of rows that are on their way to the log where they will stand, so that less is left to do once
  // they are durable. Only a copy beforehand: ApplyRows of the same batch uses it if nothing came between, and nobody
  // sees it before. Calls in the order of the entries.
  void StageRows(std::shared_ptr<arrow::RecordBatch> rows);
  // Deletes the rows that hold these ids now; unknown and dead ones are passed over.
  void ApplyDelete(const std::vector<RowKey>& keys, LogIndex index);
  // Gives the rows that hold these ids now other values for some columns: row i those of row i of `values`, or all of
  // them those of its only row. Each is written anew at the end, with its id and vector, as if it had been put again;
  // unknown and dead ones are passed over. `values` fit the schema (CheckPayload). Errors as ApplyRows.
  Status ApplyUpdate(const std::vector<RowKey>& keys, const arrow::RecordBatch& values, LogIndex index,
                     int64_t update_time_ns);
  // Deletes the rows that end by `time_ns`.
  void ApplyExpire(int64_t time_ns, LogIndex index);
  // The schema from now on, made from the one before. Errors as ApplyRows.
  Status ApplySchema(const std::shared_ptr<arrow::Schema>& columns, LogIndex index);
  // A compaction: the number of a segment to be made, and later that segment (null: no row lives) in the place of those
  // it was made from. Rows that died since are dead in it too; ids of rows that it left out are forgotten.
  uint64_t TakeSegmentNumber() { return next_segment_++; }
  // On an error, RESOURCE_EXHAUSTED, nothing was replaced.
  Status ReplaceSegments(const std::vector<std::shared_ptr<Segment>>& old, std::shared_ptr<Segment> merged);
  // The last segment takes no more rows if it holds so much, and can go to files, or be compacted.
  void EndLastSegment(uint64_t worth_bytes);
  // Start-up, before any entry: the segments of a checkpoint in the order of their ordinals, with all their rows; then
  // what it says of all of them. `deleted_bits`: which rows are dead, counted through the segments.
  void LoadSegment(std::shared_ptr<Segment> segment);
  struct LoadedState {
    uint64_t end_ordinal = 0;
    uint64_t next_segment = 0;
    LogIndex last_index;
  };
  void FinishLoad(const std::vector<uint64_t>& deleted_bits, const LoadedState& state);
  const SegmentOptions& segment_options() const { return options_; }

  // ---- readers ----
  // The version of the last entry, as the log says: rows that have expired are alive until an entry deleted them.
  std::shared_ptr<const View> Pin() const;
  // The same for somebody who asks now: rows whose time has come are gone. What clients get to see comes from here.
  std::shared_ptr<const View> PinNow() const;
  struct Located {
    std::shared_ptr<const View> view;
    std::optional<uint64_t> ordinal;  // newest row with this id, alive or dead; none: never put
    bool live = false;
  };
  // Where an id is, in the view that says so. In a collection without ids the key is the ordinal.
  Located Locate(const RowKey& key) const;
  struct LocatedAll {
    std::shared_ptr<const View> view;
    std::vector<uint64_t> ordinals;  // of the live rows among the keys, ascending
  };
  LocatedAll LocateAll(const std::vector<RowKey>& keys) const;
  // Memory that finds rows by their ids, about.
  size_t ids_size_bytes() const;

 private:
  struct Staged {
    std::shared_ptr<arrow::RecordBatch> rows;  // as they were put
    uint64_t first_ordinal;                    // if nothing comes between
    std::shared_ptr<Segment> segment;          // whose place for them has their vectors; null: none has
  };
  std::optional<Staged> TakeStaged(const arrow::RecordBatch& rows);
  struct RowPlace {
    const Segment* segment;
    uint32_t row;
  };
  std::optional<RowPlace> PlaceOf(const RowKey& key) const;
  Status Append(const std::shared_ptr<arrow::RecordBatch>& rows, const std::optional<Staged>& staged);
  void EndIfWorth(uint64_t worth_bytes);
  void SetIds(uint64_t first_ordinal, const arrow::RecordBatch& rows, uint64_t version);
  void LoadIds(const Segment& segment);
  uint64_t TakeOverLocked(const Segment& old, Segment* merged);
  void MarkDeleted(uint64_t ordinal, uint64_t version);
  std::optional<uint64_t> FindLocked(const RowKey& key) const;
  void Publish(uint64_t version);

  const ShardId id_;
  const SegmentOptions options_;

  // The applying thread's.
  std::shared_ptr<const CollectionSchema> schema_;
  std::vector<std::shared_ptr<Segment>> segments_;
  std::deque<Staged> staged_;
  uint64_t end_ordinal_ = 0;
  uint64_t next_segment_ = 0;
  uint64_t live_rows_ = 0;
  uint64_t expired_rows_ = 0;
  uint64_t size_bytes_ = 0;

  // Lock order: ids_mu_, then view_mu_. Ids change and the view that shows it is published under one exclusive ids_mu_.
  mutable std::shared_mutex ids_mu_;
  RowIds ids_;  // guarded by ids_mu_
  mutable std::mutex view_mu_;
  std::shared_ptr<const View> view_;  // guarded by view_mu_
};

}  // namespace longbow::engine
