// The node's write-ahead log: one physical log for all shards, so that one fsync commits batches of many.
//
// Files `<directory>/<first lsn, 20 digits>.log`: a file header, then records; the grammar stands in docs/formats/log.md.
// A record = fixed header (magic, sizes, CRC32C of header and of body, lsn, shard, term, index, kind, time) + body.
// Group commit: one thread writes everything that waits with one gathered write and one fdatasync, then calls back.
// Poisoned: after a failed or short write or fsync nothing is acknowledged any more until the log is opened again.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/ids.h"
#include "base/slice.h"
#include "base/status.h"

namespace longbow::storage {

enum class RecordKind : uint16_t {
  kRows = 1,              // body: Arrow IPC stream with one batch
  kDelete = 2,            // body: see engine/entry.h
  kCreateCollection = 3,
  kDropCollection = 4,
  kCreateNamespace = 5,
  kDropNamespace = 6,
};

struct LogRecord {
  Lsn lsn;                // given by the log
  ShardId shard;
  Term term;
  LogIndex index;
  RecordKind kind = RecordKind::kRows;
  int64_t time_ns = 0;    // wall clock when proposed; Apply reads time only from here
  Slices body;
};

struct LogOptions {
  uint64_t file_size_bytes;             // a new file begins once one has reached this
  uint64_t group_size_max_bytes = 64u << 20;  // one gathered write
};

class Log {
 public:
  // Opens or creates the log in `directory` and calls `replay` for every whole record with lsn > `after`, in order.
  // A torn tail (bytes of a write that was never acknowledged) is cut off. Damage before the last acknowledged record, a
  // gap, or a newer format: DATA_LOSS / FAILED_PRECONDITION with file, offset and what to do; nothing is changed then.
  static Result<std::unique_ptr<Log>> Open(FileSystem& fs, std::string directory, LogOptions options, Lsn after,
                                           const std::function<Status(const LogRecord&)>& replay);
  virtual ~Log() = default;

  // Takes the next LSN and queues the record; records become durable in LSN order. Returns at once.
  // `done` runs on the log's thread, in LSN order, exactly once: OK = durable (fdatasync returned), else the reason.
  // Thread safe.
  virtual void Append(LogRecord record, std::function<void(Lsn, Status)> done) = 0;

  // Removes files that hold only records with lsn <= upto. Thread safe.
  virtual Status Cut(Lsn upto) = 0;

  virtual Lsn last_lsn() const = 0;    // last LSN given out (0: none yet)
  virtual Status health() const = 0;   // OK, or why the log is poisoned
  virtual uint64_t size_bytes() const = 0;
  // Commits what waits, then ends the thread. Called by the destructor too.
  virtual void Stop() = 0;
};

}  // namespace longbow::storage
