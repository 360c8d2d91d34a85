#include "storage/log.h"

#include <algorithm>
#include <deque>
#include <filesystem>
#include <future>
#include <iterator>
#include <span>
#include <thread>

#include "base/kill_point.h"
#include "base/limits.h"
#include "base/mutex.h"
#include "base/utc_time.h"
#include "storage/log_replay.h"
#include "storage/log_writer.h"

namespace longbow::storage {
namespace {

using Done = std::function<void(Lsn, Status)>;
using TimePoint = std::chrono::steady_clock::time_point;

// A record's caller, waiting for its turn.
struct Caller {
  Lsn lsn;         // 0 if refused
  Status refused;  // not OK: the record is not written
  Done done;
};

// A caller of Sync or Recover.
struct Request {
  bool recover = false;
  std::promise<Status>* answer = nullptr;
};

// What the log's thread does next.
struct Turn {
  std::vector<SummedRecord> records;  // to be written at once
  std::vector<Caller> callers;        // who waits for them; more than records if some were refused
  std::vector<Request> requests;      // after that
  bool poisoned = false;              // when the turn was taken, so that nothing that got an LSN is left in the queue
  bool last = false;                  // the log was stopped
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

  Status Sync() override { return options_.sync == SyncPolicy::kFsync ? Status() : Ask(false); }
  Status Recover() override { return Ask(true); }
  Status Cut(Lsn upto) override { return writer_->Cut(upto); }
  uint64_t id() const override { return writer_->id(); }

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

  // Has the log's thread do something, and waits.
  Status Ask(bool recover) {
    std::promise<Status> answer;
    {
      MutexLock lock(mu_);
      if (stopped_) {
        return Unavailable("the log is stopped");
      }
      requests_.push_back({.recover = recover, .answer = &answer});
      changed_.NotifyOne();
    }
    return answer.get_future().get();
  }

  void Run() {
    while (true) {
      Turn turn = NextTurn();
      Status status = Write(turn.records);
      std::move(turn.callers.begin(), turn.callers.end(), std::back_inserter(held_));
      if (!status.ok() || !AwaitsMore(turn)) {
        if (status.ok() && options_.sync == SyncPolicy::kFsync) {
          status = SyncWritten();
        }
        AnswerHeld(status);
      }
      const bool due = options_.sync == SyncPolicy::kInterval && writer_->has_unsynced() &&
                       options_.clock->SteadyNow() >= SyncDeadline();
      const bool asked = std::any_of(turn.requests.begin(), turn.requests.end(), [](auto& r) { return !r.recover; });
      if (due || asked || turn.last) {
        (void)SyncWritten();
      }
      for (const Request& request : turn.requests) {
        request.answer->set_value(request.recover && turn.poisoned ? RecoverWriter() : health());
      }
      if (turn.last) {
        return;
      }
    }
  }

  // Whether what was written may stay unanswered until more has come.
  bool AwaitsMore(const Turn& turn) {
    if (options_.sync != SyncPolicy::kFsync || turn.records.empty() || turn.last || !turn.requests.empty() ||
        writer_->unsynced_bytes() >= options_.bulk_sync_bytes || writer_->room_bytes() == 0) {
      return false;
    }
    held_until_ = options_.clock->SteadyNow() + options_.bulk_wait;
    return std::all_of(turn.records.begin(), turn.records.end(), [this](const SummedRecord& summed) {
      return TotalSize(summed.record.body) >= options_.bulk_record_bytes;
    });
  }

  void AnswerHeld(const Status& status) {
    LB_KILL_POINT("log.group.answer");
    for (const Caller& caller : held_) {
      caller.done(caller.lsn, caller.refused.ok() ? status : caller.refused);
    }
    held_.clear();
    LB_KILL_POINT("log.group.answered");
  }

  // All that waits, up to the size of a group and to the end of the file; waits until there is something, or until a
  // sync is due or callers have been held for long enough.
  Turn NextTurn() {
    // Room of 0 means that the group opens a new file.
    const uint64_t room = writer_->room_bytes() > 0 ? writer_->room_bytes() : options_.file_size_bytes;
    const uint64_t size_max = std::min(room, options_.group_size_max_bytes);
    Turn turn;
    MutexLock lock(mu_);
    while (queue_.empty() && requests_.empty() && !stopped_) {
      const bool syncs_by_time = options_.sync == SyncPolicy::kInterval && health_.ok() && writer_->has_unsynced();
      if (held_.empty() && !syncs_by_time) {
        changed_.Wait(mu_);
      } else if (!changed_.WaitUntil(mu_, held_.empty() ? SyncDeadline() : held_until_)) {
        return turn;
      }
    }
    // What was queued before the log was poisoned is refused in one turn, so that Recover finds nothing of it.
    for (uint64_t size = 0; !queue_.empty() && (turn.callers.empty() || size < size_max || !health_.ok());
         queue_.pop_front()) {
      Waiting& next = queue_.front();
      if (next.caller.refused.ok()) {
        size += RecordSize(next.size);
        queued_bytes_ -= next.size;
        turn.records.push_back(std::move(next.summed));
      }
      turn.callers.push_back(std::move(next.caller));
    }
    turn.requests.swap(requests_);
    turn.poisoned = !health_.ok();
    turn.last = stopped_ && queue_.empty();
    return turn;
  }

  TimePoint SyncDeadline() const { return unsynced_since_ + options_.sync_interval; }

  Status Write(std::span<const SummedRecord> records) {
    LB_TRY(health());
    if (records.empty()) {
      return {};
    }
    const bool first_unsynced = !writer_->has_unsynced();
    const auto begun = options_.clock->SteadyNow();
    if (const Status status = writer_->WriteGroup(records); !status.ok()) {
      return Poison(status);
    }
    if (first_unsynced) {
      unsynced_since_ = begun;
    }
    return {};
  }

  Status SyncWritten() {
    LB_TRY(health());
    const Status status = writer_->Sync();
    return status.ok() ? status : Poison(status);
  }

  Status RecoverWriter() {
    LB_TRY(writer_->Recover());
    // Since the failure nothing was admitted, and what had been is answered: the queue holds no LSN.
    MutexLock lock(mu_);
    last_lsn_ = writer_->last_lsn();
    health_ = Status();
    return {};
  }

  // What those are told whose records are on their way.
  Status Poison(const Status& reason) {
    const bool full = reason.code() == StatusCode::kResourceExhausted;
    std::string message = "log is read-only since " + UtcTime(options_.clock->WallNowNs()) + ": " +
                          std::string(reason.message()) + "; reads go on; " +
                          (full ? "free space on the disk" : "check the disk") +
                          ": writing resumes by itself once the disk takes it";
    const Status health = full ? ResourceExhausted(std::move(message)) : Unavailable(std::move(message));
    {
      MutexLock lock(mu_);
      health_ = health;
    }
    return writer_->outcome_unknown()
               ? Unavailable(std::string(health.message()) +
                             "; if the server ends before writing resumes, these rows may be there after the restart")
               : health;
  }

  // Constant after Start.
  const LogOptions options_;
  const std::vector<std::string> strange_files_;
  std::unique_ptr<LogWriter> writer_;

  // Of the log's thread.
  TimePoint unsynced_since_;
  std::vector<Caller> held_;  // of records that are written and not answered yet
  TimePoint held_until_;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<Waiting> queue_ GUARDED_BY(mu_);
  std::vector<Request> requests_ GUARDED_BY(mu_);
  uint64_t queued_bytes_ GUARDED_BY(mu_) = 0;  // of bodies in queue_
  Lsn last_lsn_ GUARDED_BY(mu_);
  Status health_ GUARDED_BY(mu_);
  bool stopped_ GUARDED_BY(mu_) = false;

  Mutex join_mu_;
  std::thread thread_ GUARDED_BY(join_mu_);
};

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
  LogReplayOptions how{.directory = directory, .after = after, .acknowledged = {}, .id = options.id};
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
