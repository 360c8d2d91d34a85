#include "storage/log.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <thread>

#include "base/limits.h"
#include "base/mutex.h"
#include "storage/log_replay.h"
#include "storage/log_writer.h"
#include "storage/utc_time.h"

namespace longbow::storage {
namespace {

using Done = std::function<void(Lsn, Status)>;

// A record's caller, waiting for its turn.
struct Caller {
  Lsn lsn;         // 0 if refused
  Status refused;  // not OK: the record is not written
  Done done;
};

// What one write makes durable, and who waits for it.
struct Group {
  std::vector<SummedRecord> records;
  std::vector<Caller> callers;  // more than records if some were refused
};

class CommittingLog final : public Log {
 public:
  CommittingLog(LogOptions options, std::vector<std::string> strange_files)
      : options_(std::move(options)), strange_files_(std::move(strange_files)) {}
  ~CommittingLog() override { Stop(); }

  const LogOptions& options() const { return options_; }

  void Start(std::unique_ptr<LogWriter> writer, Lsn last_lsn) {
    writer_ = std::move(writer);
    last_lsn_ = last_lsn;
    thread_ = std::thread([this] { Run(); });
  }

  void Append(LogRecord record, Done done) override {
    const size_t size = TotalSize(record.body);
    // Here and not on the log's thread, so that many producers sum up in parallel.
    const uint32_t body_crc = size <= limits::kLogRecordSizeMaxBytes ? BodyCrc(record.body) : 0;
    {
      MutexLock lock(mu_);
      if (!stopped_) {
        Waiting waiting{.summed = {.record = std::move(record), .body_crc = body_crc},
                        .size = size,
                        .caller = {.done = std::move(done)}};
        waiting.caller.refused = Admit(size);
        if (waiting.caller.refused.ok()) {
          last_lsn_ = last_lsn_.Next();
          waiting.summed.record.lsn = waiting.caller.lsn = last_lsn_;
          queued_bytes_ += size;
        }
        queue_.push_back(std::move(waiting));
        changed_.NotifyOne();
        return;
      }
    }
    done({}, Unavailable("the log is stopped"));
  }

  Status Cut(Lsn upto) override { return writer_->Cut(upto); }

  Lsn last_lsn() const override {
    MutexLock lock(mu_);
    return last_lsn_;
  }

  Status health() const override {
    MutexLock lock(mu_);
    return health_;
  }

  uint64_t size_bytes() const override { return writer_->size_bytes(); }

  LogStats stats() const override { return writer_->stats(); }
  const std::vector<std::string>& strange_files() const override { return strange_files_; }

  void Stop() override {
    {
      MutexLock lock(mu_);
      stopped_ = true;
      changed_.NotifyOne();
    }
    MutexLock lock(join_mu_);
    if (thread_.joinable()) {
      thread_.join();
    }
  }

 private:
  struct Waiting {
    SummedRecord summed;
    size_t size = 0;  // of the body
    Caller caller;
  };

  Status Admit(size_t size) const REQUIRES(mu_) {
    if (size > limits::kLogRecordSizeMaxBytes) {
      return ResourceExhausted("log record too large: got " + std::to_string(size) + " bytes, the limit is " +
                               std::to_string(limits::kLogRecordSizeMaxBytes) + ": send smaller batches");
    }
    if (queued_bytes_ + size > limits::kLogQueueSizeMaxBytes && queued_bytes_ > 0) {
      return ResourceExhausted("too much waits for the log: " + std::to_string(queued_bytes_) +
                               " bytes, the limit is " + std::to_string(limits::kLogQueueSizeMaxBytes) +
                               ": retry later");
    }
    return health_;
  }

  void Run() {
    while (true) {
      const Group group = TakeGroup();
      if (group.callers.empty()) {
        return;
      }
      const Status committed = Commit(group);
      for (const Caller& caller : group.callers) {
        caller.done(caller.lsn, caller.refused.ok() ? committed : caller.refused);
      }
    }
  }

  // All that waits, up to the size of a group and to the end of the file; waits until there is something. Empty:
  // stopped.
  Group TakeGroup() {
    // Room of 0 means that the group opens a new file.
    const uint64_t room = writer_->room_bytes() > 0 ? writer_->room_bytes() : options_.file_size_bytes;
    const uint64_t size_max = std::min(room, options_.group_size_max_bytes);
    Group group;
    MutexLock lock(mu_);
    while (queue_.empty() && !stopped_) {
      changed_.Wait(mu_);
    }
    for (uint64_t size = 0; !queue_.empty() && (group.callers.empty() || size < size_max); queue_.pop_front()) {
      Waiting& next = queue_.front();
      if (next.caller.refused.ok()) {
        size += RecordSize(next.size);
        queued_bytes_ -= next.size;
        group.records.push_back(std::move(next.summed));
      }
      group.callers.push_back(std::move(next.caller));
    }
    return group;
  }

  Status Commit(const Group& group) {
    LB_TRY(health());
    const Status status = group.records.empty() ? Status() : writer_->WriteGroup(group.records);
    return status.ok() ? status : Poison(status);
  }

  Status Poison(const Status& reason) {
    const Status health = Unavailable("log is read-only since " + UtcTime(options_.clock->WallNowNs()) + ": " +
                                      std::string(reason.message()));
    MutexLock lock(mu_);
    health_ = health;
    return health;
  }

  // Constant after Start.
  const LogOptions options_;
  const std::vector<std::string> strange_files_;
  std::unique_ptr<LogWriter> writer_;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Waiting> queue_ GUARDED_BY(mu_);
  uint64_t queued_bytes_ GUARDED_BY(mu_) = 0;  // of bodies in queue_
  Lsn last_lsn_ GUARDED_BY(mu_);
  Status health_ GUARDED_BY(mu_);
  bool stopped_ GUARDED_BY(mu_) = false;

  Mutex join_mu_;
  std::thread thread_ GUARDED_BY(join_mu_);
};

// The last LSN that was acknowledged before the program ended, as far as the log folder tells.
Result<Lsn> ReadCommitMark(FileSystem& fs, const std::string& directory) {
  const std::string path = CommitMarkPath(directory);
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (exists) {
    LB_ASSIGN(const std::string bytes, ReadWholeFile(fs, path));
    if (const std::optional<Lsn> lsn = DecodeCommitMarks(bytes)) {
      return *lsn;
    }
    return DataLoss("commit mark '" + path +
                    "' is damaged at offset 0: without it a damaged end of the log looks like a torn "
                    "one; nothing was changed; restore the data folder from a snapshot, or ask for a repair by name");
  }
  LB_ASSIGN(const std::vector<std::string> names, fs.List(directory));
  if (std::any_of(names.begin(), names.end(),
                  [](const std::string& name) { return ParseLogFileName(name).has_value(); })) {
    return DataLoss(
        "commit mark '" + path +
        "' is missing beside log files: without it a damaged end of the log looks like a "
        "torn one; nothing was changed; restore the data folder from a snapshot, or ask for a repair by name");
  }
  return Lsn{0};
}

Status CreateDirectory(FileSystem& fs, const std::string& directory) {
  LB_TRY(fs.CreateDirectories(directory));
  // Even where it exists: the life that made it may have ended before this.
  const std::string parent = std::filesystem::path(directory).parent_path().string();
  return fs.SyncDirectory(parent.empty() ? "." : parent);
}

}  // namespace

Result<std::unique_ptr<Log>> Log::Open(FileSystem& fs, std::string directory, LogOptions options, Lsn after,
                                       const std::function<Status(const LogRecord&)>& replay) {
  LB_TRY(CreateDirectory(fs, directory));
  LogReplayOptions how{.directory = directory, .after = after};
  if (!options.ignore_commit_mark) {
    LB_ASSIGN(const Lsn mark, ReadCommitMark(fs, directory));
    how.acknowledged = std::max(mark, after);
  }
  LB_ASSIGN(LogContents contents, ReplayLog(fs, how, replay));
  uint64_t seed = options.seed;
  if (seed == 0) {
    LB_ASSIGN(seed, SystemSeed());
  }
  // After a repair the log may end before the checkpoint does; what lies between is in the checkpoint.
  const Lsn last_lsn = std::max(contents.last_lsn, after);
  auto log = std::make_unique<CommittingLog>(std::move(options), contents.strange_files);
  LB_ASSIGN(std::unique_ptr<LogWriter> writer,
            LogWriter::Create(fs, std::move(directory), log->options(), std::move(contents), last_lsn.Next(), seed));
  log->Start(std::move(writer), last_lsn);
  return std::unique_ptr<Log>(std::move(log));
}

}  // namespace longbow::storage
