// The log's files being written: groups of records, each with one gathered write, synced as SyncPolicy says.
#pragma once

#include <atomic>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"
#include "base/random.h"
#include "storage/log.h"
#include "storage/log_format.h"
#include "storage/log_replay.h"

namespace longbow::storage {

// A record with the checksum of its body.
struct SummedRecord {
  LogRecord record;
  uint32_t body_crc = 0;
};

// Cut, size_bytes and stats are thread safe, the rest is for one thread.
class LogWriter {
 public:
  // Continues what was read: removes an unborn file, makes sure that everything read is durable, cuts off a torn tail,
  // and begins a new file where there is none. File system and options outlive the writer.
  static Result<std::unique_ptr<LogWriter>> Create(FileSystem& fs, std::string directory, const LogOptions& options,
                                                   LogContents contents, Lsn next_lsn, uint64_t seed);

  // Writes the records, of consecutive LSNs; under kFsync the disk is already at it when this returns. After an error
  // only Recover() may be called.
  Status WriteGroup(std::span<const SummedRecord> records);
  // After a failure: whether records that were not acknowledged may be in the file.
  bool outcome_unknown() const { return outcome_unknown_; }
  // Makes durable what is not. After an error only Recover() may be called.
  Status Sync();
  bool has_unsynced() const { return synced_lsn_ < last_lsn_; }
  uint64_t unsynced_bytes() const { return offset_ - synced_offset_; }
  // See Log::Recover.
  Status Recover();
  uint64_t id() const { return id_; }
  Lsn last_lsn() const { return last_lsn_; }  // of the last record written; after Recover() of the last acknowledged
  // How many bytes the current file takes before the next group begins a new one.
  uint64_t room_bytes() const { return offset_ < options_.file_size_bytes ? options_.file_size_bytes - offset_ : 0; }

  Status Cut(Lsn upto);
  uint64_t size_bytes() const;
  LogStats stats() const;

 private:
  LogWriter(FileSystem& fs, std::string directory, const LogOptions& options, uint64_t seed)
      : fs_(fs), directory_(std::move(directory)), options_(options), random_(seed) {}

  Status ContinueLastFile(const LogContents& contents);
  Status BeginFile(Lsn first_lsn);
  Status Reserve(uint64_t size);
  Status WritePieces(const Slices& pieces, uint64_t size);
  Status SyncRecords();
  void ForgetUnacknowledged();
  Status WriteMarkFile(Lsn lsn);
  Status StoreMark(Lsn lsn);
  Status SealFile();
  Status RemoveFileWithoutRecords();
  Slices Gather(std::span<const SummedRecord> records);

  // Constant after construction.
  FileSystem& fs_;
  const std::string directory_;
  const LogOptions& options_;
  uint64_t id_ = 0;

  // Of the writing thread.
  Random random_;
  std::unique_ptr<File> mark_;
  size_t mark_slot_ = 0;        // of its two, the one to write next
  std::unique_ptr<File> file_;  // null only after a failed Recover that came past sealing it
  uint64_t offset_ = 0;         // where the next record goes: behind the last one written
  uint64_t reserved_ = 0;       // size of file_
  Lsn last_lsn_;
  Lsn synced_lsn_;  // <= last_lsn_; all after it are in file_
  uint64_t synced_offset_ = 0;
  bool outcome_unknown_ = false;
  uint64_t salt_ = 0;
  std::vector<uint8_t> staging_;  // headers, padding and small bodies of one group

  // Written by that thread, read by any.
  std::atomic<uint64_t> records_{0};
  std::atomic<uint64_t> bytes_{0};
  std::atomic<uint64_t> syncs_{0};
  std::atomic<std::chrono::nanoseconds> sync_time_{};

  mutable Mutex mu_;
  std::vector<LogFileEntry> files_ GUARDED_BY(mu_);  // by LSN; the last is file_
};

}  // namespace longbow::storage
