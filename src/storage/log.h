// The node's write-ahead log: one physical log for all shards, so that one fsync commits batches of many.
//
// Files `<directory>/<first lsn, 20 digits>.log`: a file header, then records; the grammar stands in
// docs/formats/log.md. A record = fixed header (magic, sizes, CRC32C of header and of body, lsn, shard, term, index,
// kind, time) + body.
// `<directory>/COMMITTED` keeps the last acknowledged LSN, so that damage is not mistaken for a torn tail.
// Group commit: one thread writes everything that waits with one gathered write and one fdatasync, then calls back;
// groups of large records, as streams of puts bring them, share an fdatasync while the next ones come.
// Poisoned: after a failed or short write or fsync nothing is acknowledged any more until Recover() succeeds, or the
// log is opened again.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/file.h"
#include "base/ids.h"
#include "base/slice.h"
#include "base/status.h"
#include "base/sync_policy.h"

namespace longbow::storage {

enum class RecordKind : uint16_t {
  kRows = 1,    // body: Arrow IPC stream with one batch
  kDelete = 2,  // body: see engine/entry.h
  kCreateCollection = 3,
  kDropCollection = 4,
  kCreateNamespace = 5,
  kDropNamespace = 6,
  kSetSchema = 7,
  kExpire = 8,
  kUpdate = 9,
};

struct LogRecord {
  Lsn lsn;  // given by the log
  ShardId shard;
  Term term;
  LogIndex index;
  RecordKind kind = RecordKind::kRows;
  int64_t time_ns = 0;  // wall clock when proposed; Apply reads time only from here
  Slices body;
};

struct LogOptions {
  uint64_t file_size_bytes;  // a new file begins once one has reached this; reserved when it is created
  uint64_t group_size_max_bytes = 64u << 20;  // one gathered write
  SyncPolicy sync = SyncPolicy::kFsync;
  // kFsync: records of at least `bulk_record_bytes` come in streams. While more of them come they share an fdatasync,
  // of at most about `bulk_sync_bytes`; each waits no longer than `bulk_wait` for the next, while the disk is writing
  // it anyway. A smaller record ends the waiting.
  uint64_t bulk_record_bytes = 1u << 20;
  uint64_t bulk_sync_bytes = 16u << 20;
  std::chrono::microseconds bulk_wait{3'000};
  std::chrono::milliseconds sync_interval{100};  // of kInterval
  // Repair: believe the files and not COMMITTED. An acknowledged end that is damaged or missing is then cut off like a
  // torn tail; damage in the middle is still refused.
  bool ignore_commit_mark = false;
  // Runs on the log's thread after each fdatasync of records.
  std::function<void(std::chrono::nanoseconds took)> on_sync;
  // What its files must carry, as the manifest remembers it: those of another data folder are refused. 0: anything.
  uint64_t id = 0;
  uint64_t seed = 0;  // for the salt of record checksums; 0: from the operating system
  Clock* clock = &RealClock();
};

// Since Open.
struct LogStats {
  uint64_t records = 0;  // acknowledged ones
  uint64_t bytes = 0;    // of those, headers included
  uint64_t syncs = 0;    // under kFsync one for each group, or for a few of large records
  std::chrono::nanoseconds sync_time{0};
};

class Log {
 public:
  // Opens or creates the log in `directory` (whose parent exists, durably) and calls `replay` for every whole record
  // with lsn > `after`, in order; each body is one slice, aligned to 64 bytes, that owns its bytes. Memory: one record
  // and a fixed window. A torn tail (bytes of a write that was never acknowledged) is cut off. Damage before the last
  // acknowledged record, a gap, or a newer format: DATA_LOSS / FAILED_PRECONDITION with file, offset and what to do;
  // nothing is changed then.
  static Result<std::unique_ptr<Log>> Open(FileSystem& fs, std::string directory, LogOptions options, Lsn after,
                                           const std::function<Status(const LogRecord&)>& replay);
  virtual ~Log() = default;

  // Takes the next LSN and queues the record; records become durable in LSN order. Returns at once.
  // `done` runs on the log's thread, in LSN order, exactly once: OK = acknowledged as SyncPolicy says, else the reason:
  //   UNAVAILABLE         the log is poisoned, or stopped (then `done` runs on the caller's thread). A record that was
  //                       being written when the disk failed may come back at the next Open; the message says so then.
  //                       After Recover() it does not
  //   RESOURCE_EXHAUSTED  nothing was written: body over limits::kLogRecordSizeMaxBytes, too much waiting
  //                       (limits::kLogQueueSizeMaxBytes), or the log is poisoned because the disk is full
  // A record refused before it got an LSN is reported with LSN 0. `done` must not call Stop. Thread safe.
  virtual void Append(LogRecord record, std::function<void(Lsn, Status)> done) = 0;

  // Returns when every record acknowledged before the call is on stable storage; at once under kFsync. Else health().
  // Must come before anything durable that relies on those records, such as a manifest. Thread safe.
  virtual Status Sync() = 0;
  // Tries to end the poisoning: seals the file off behind the last acknowledged record, so that what was refused is
  // gone, reads all acknowledged records of that file back, and begins a new file. LSNs of refused records are given
  // out again. OK also if the log is healthy. An error leaves it poisoned; it may be tried again. Thread safe; must not
  // be called from a `done`.
  virtual Status Recover() = 0;

  // Removes files that hold only records with lsn <= upto. Thread safe.
  virtual Status Cut(Lsn upto) = 0;

  virtual uint64_t id() const = 0;          // drawn when it began; 0 if it is older than ids
  virtual Lsn last_lsn() const = 0;         // last LSN given out (0: none yet)
  virtual Status health() const = 0;        // OK, or why the log is poisoned
  virtual uint64_t size_bytes() const = 0;  // of headers and records in all files, without reserved space
  virtual LogStats stats() const = 0;
  // Names ending in .log that are not ours, seen at Open and left alone: worth a warning.
  virtual const std::vector<std::string>& strange_files() const = 0;
  // Commits what waits, then ends the thread. Called by the destructor too.
  virtual void Stop() = 0;
};

}  // namespace longbow::storage
