// What a store does behind its clients: checkpoints, graphs to files, the check of files after a start.
#include <pthread.h>

#include <algorithm>

#include "base/cpu_pacer.h"
#include "base/kill_point.h"
#include "engine/store.h"

namespace longbow::engine {

bool Store::IsStopping() const {
  std::lock_guard lock(maintenance_mu_);
  return stopping_;
}

std::vector<CheckedSegment> Store::LoadedSegments() const {
  std::vector<CheckedSegment> segments;
  const auto all = List();
  for (const storage::CollectionEntry& entry : checkpoints_.manifest().collections) {
    const auto found = std::find_if(all.begin(), all.end(),
                                    [&](const auto& collection) { return collection->shard.id() == entry.shard; });
    if (found == all.end()) {
      continue;  // the log dropped it
    }
    const std::shared_ptr<const View> view = (*found)->shard.Pin();
    for (size_t i = 0; i < entry.segments.size(); ++i) {
      segments.push_back({entry.name, entry.shard, view->schema, view->segments[i].segment, entry.segments[i]});
    }
  }
  return segments;
}

void Store::StartFileCheck() {
  FileCheck::Reporter reporter;
  reporter.graph_opened = [this](const SegmentKey& segment, uint32_t rows) {
    std::lock_guard lock(checkpoint_mu_);
    checkpoints_.NoteGraph(segment, rows);
  };
  reporter.graph_lost = [this](const SegmentKey& segment) {
    std::lock_guard lock(checkpoint_mu_);
    checkpoints_.ForgetGraph(segment);
  };
  reporter.part_damaged = [this](const SegmentKey& segment, size_t part) {
    std::lock_guard lock(checkpoint_mu_);
    checkpoints_.MarkPart(segment, part);
  };
  file_check_ = std::thread([this, reporter = std::move(reporter), segments = LoadedSegments()] {
    FileCheck check(checkpoints_.folder(), reporter, environment_.logger, metrics_.file_check);
    check.Run(segments, [this] { return !IsStopping(); });
    all_rows_are_there_.store(check.AllIsThere(), std::memory_order_release);
    files_checked_.store(true, std::memory_order_release);
  });
  pthread_setname_np(file_check_.native_handle(), "file-check");
}

Status Store::Checkpoint() { return WriteCheckpoint(false); }

Result<std::shared_ptr<const storage::Manifest>> Store::PinCheckpoint() {
  LB_TRY(Checkpoint());
  std::lock_guard lock(checkpoint_mu_);
  return checkpoints_.Pin();
}

Status Store::WriteCheckpoint(bool even_unchanged) {
  std::lock_guard lock(checkpoint_mu_);
  StateCut cut;
  applier_->RunBetween([&](const State& state) { cut = CutOf(state); });
  cut.log_id = log_->id();
  if (cut.applied == checkpoints_.last() && !checkpoints_.HasNews() && !even_unchanged) {
    return {};
  }
  const auto started = environment_.clock.SteadyNow();
  LB_KILL_POINT("checkpoint.begin");
  Status status = log_->Sync();  // a manifest must not know more than the log
  if (status.ok()) {
    status = checkpoints_.Write(cut, [this] { return !IsStopping(); });
  }
  if (status.ok()) {
    LB_KILL_POINT("checkpoint.written");
    status = log_->Cut(cut.applied);
    LB_KILL_POINT("checkpoint.log_cut");
  }
  const std::chrono::duration<double> took = environment_.clock.SteadyNow() - started;
  metrics_.checkpoint_seconds.Observe(took.count());
  if (status.code() == StatusCode::kCancelled) {
    return status;
  }
  (status.ok() ? metrics_.checkpoints_written : metrics_.checkpoints_failed).Add();
  if (status.ok()) {
    environment_.logger.Info("checkpoint written", {{"lsn", cut.applied.value}, {"took_ms", took.count() * 1000}});
  } else {
    environment_.logger.Error("checkpoint failed; the log keeps everything", {{"reason", status.ToString()}});
  }
  return status;
}

Status Store::WriteGraphs() {
  std::lock_guard lock(checkpoint_mu_);
  std::vector<StateCut::Part> parts;
  for (const auto& collection : List()) {
    parts.push_back({collection, collection->shard.Pin()});
  }
  size_t written = 0;
  const Status status = checkpoints_.WriteGraphs(
      parts, [this] { return !IsStopping(); }, &written);
  metrics_.graphs_written.Add(static_cast<double>(written));
  if (!status.ok() && status.code() != StatusCode::kCancelled) {
    environment_.logger.Error("a graph could not be written: after a restart it would be built again",
                              {{"reason", status.ToString()}});
  }
  return status;
}

void Store::RunMaintenance() {
  constexpr std::chrono::milliseconds kPeriod{200};
  constexpr std::chrono::seconds kRetry{30};
  constexpr std::chrono::seconds kExpirySweepPeriod{1};
  // A checkpoint compresses what puts brought a moment ago: beside puts it waits.
  LowerThreadPriority();
  auto next_timed = environment_.clock.SteadyNow() + options_.checkpoint_interval;
  auto not_before = environment_.clock.SteadyNow();
  std::unique_lock lock(maintenance_mu_);
  while (!maintenance_wake_.wait_for(lock, kPeriod, [&] { return stopping_; })) {
    const auto now = environment_.clock.SteadyNow();
    lock.unlock();
    WatchLog(now);
    if (now >= next_expiry_sweep_) {
      next_expiry_sweep_ = now + kExpirySweepPeriod;
      if (const Status swept = ExpireRows(); !swept.ok()) {
        environment_.logger.Warn("expired rows could not be deleted; reads leave them out all the same",
                                 {{"reason", swept.ToString()}});
      }
    }
    if (now < not_before) {
      lock.lock();
      continue;
    }
    Status status = options_.tidy_files ? WriteGraphs() : Status();
    const bool timed = options_.checkpoint_interval.count() > 0 && now >= next_timed;
    const bool has_news = [&] {
      std::lock_guard checkpoint_lock(checkpoint_mu_);
      return options_.tidy_files && (checkpoints_.HasNews() || replayed_ > 0);
    }();
    if (budget_.bounded() && budget_.IsShort()) {
      EndOpenSegments();
    } else {
      short_rounds_ = 0;
    }
    const bool frees_rows = MemoryIsWanted() && RowsInMemoryBytes() >= budget_.size_bytes() / 32;
    const bool due = timed || has_news || frees_rows || log_->size_bytes() >= options_.checkpoint_log_size_bytes;
    if (due) {
      if (const Status written = Checkpoint(); !written.ok()) {
        status = written;
      } else {
        replayed_ = 0;
        next_timed = environment_.clock.SteadyNow() + options_.checkpoint_interval;
      }
    }
    if (status.ok() && (MemoryIsWanted() || HasSegmentsInScratch()) && MoveToFiles() > 0) {
      short_rounds_ = 0;
    }
    lock.lock();
    not_before = status.ok() ? environment_.clock.SteadyNow() : environment_.clock.SteadyNow() + kRetry;
  }
}

}  // namespace longbow::engine
