// A checkpoint copied to another place, and back: backups of a store at work.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "base/status.h"
#include "engine/segment_files.h"
#include "storage/manifest.h"
#include "storage/snapshot_index.h"
#include "storage/snapshot_target.h"

namespace longbow::engine {

using storage::MakeSnapshotId;

// Of a snapshot that is being written or restored; read by any thread.
struct SnapshotProgress {
  std::atomic<uint64_t> files_total{0};
  std::atomic<uint64_t> files_done{0};
  std::atomic<uint64_t> bytes_total{0};
  std::atomic<uint64_t> bytes_done{0};    // those that were there already among them
  std::atomic<uint64_t> bytes_copied{0};  // over the wire or to the other disk
};

// Hashes of files that were read once: they never change under one name and digest.
using KnownContents = std::map<std::pair<std::string, uint64_t>, std::string>;

struct SnapshotRequest {
  std::string id;          // see MakeSnapshotId
  std::string collection;  // only this one; empty: all
  int64_t taken_at_ns = 0;
};

// Copies the files of a pinned manifest to `target`, those that are not there yet, and names them in an index, last.
// Every file is checked against its digest before it is taken; a damaged one ends it with DATA_LOSS. NOT_FOUND: there
// is no such collection. CANCELLED, or what the target gives: what was copied stays there for the next one to use, no
// index names it. `target` was opened for writing.
Result<storage::SnapshotIndex> WriteSnapshot(const DataFolder& folder, const storage::Manifest& manifest,
                                             const SnapshotRequest& request, storage::SnapshotTarget& target,
                                             KnownContents* known, const Cancellation* cancellation,
                                             SnapshotProgress* progress);

// An index, or why it cannot be read.
struct ListedSnapshot {
  storage::SnapshotIndex index;  // its id is always there
  Status status;
};
// Oldest first. Names in the folder that are no snapshots' are left out.
Result<std::vector<ListedSnapshot>> ListSnapshots(storage::SnapshotTarget& target);

// NOT_FOUND: there is none of that id; DATA_LOSS: its index is damaged.
Result<storage::SnapshotIndex> ReadSnapshotIndex(storage::SnapshotTarget& target, const std::string& id);

struct RestoreRequest {
  std::string id;  // empty: the youngest of a whole store
  std::string data_dir;
  SegmentOptions segment;
  uint64_t log_file_size_bytes = limits::kLogFileSizeBytes;
};

// Makes a data folder of a snapshot; `data_dir` is missing or empty, or an earlier call with the same snapshot was
// interrupted there: then this one goes on. Every size and hash is checked, the manifest read, all collections opened
// and their rows counted, and the folder becomes one that can be opened as the last step. NOT_FOUND: no such snapshot;
// DATA_LOSS: an object is missing, damaged or another one's; FAILED_PRECONDITION: the folder is not empty.
Result<storage::SnapshotIndex> RestoreSnapshot(FileSystem& fs, storage::SnapshotTarget& source,
                                               const RestoreRequest& request, Clock& clock, SnapshotProgress* progress);

}  // namespace longbow::engine
