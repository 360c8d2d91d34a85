// What a store does behind its clients: checkpoints, graphs to files, the check of files after a start.
#include <pthread.h>
#include <sys/resource.h>

#include <algorithm>

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
    FileCheck check(checkpoints_.folder(), reporter, environment_.logger, file_check_metrics_);
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
  checkpoint_seconds_.Observe(took.count());
  if (status.code() == StatusCode::kCancelled) {
    return status;
  }
  (status.ok() ? checkpoints_written_ : checkpoints_failed_).Add();
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
  graphs_written_.Add(static_cast<double>(written));
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
    if (status.ok() && MemoryIsWanted() && MoveToFiles() > 0) {
      short_rounds_ = 0;
    }
    lock.lock();
    not_before = status.ok() ? environment_.clock.SteadyNow() : environment_.clock.SteadyNow() + kRetry;
  }
}

void Store::RunCompactions() {
  constexpr int kCompactionNice = 10;
  pthread_setname_np(pthread_self(), "compact");
  // Linux keeps a nice value per thread; failing to lower it costs fairness only.
  (void)setpriority(PRIO_PROCESS, 0, kCompactionNice);
  std::unique_lock lock(maintenance_mu_);
  while (!maintenance_wake_.wait_for(lock, options_.compaction_period, [&] { return stopping_; })) {
    lock.unlock();
    size_t compacted = 0;
    const Status status = Compact(&compacted);
    if (!status.ok() && status.code() != StatusCode::kCancelled) {
      environment_.logger.Error("a compaction failed; the segments stay as they are", {{"reason", status.ToString()}});
    }
    lock.lock();
  }
}

Status Store::Compact(size_t* compacted) {
  std::lock_guard lock(compaction_mu_);
  // Rows that were not checked yet would get checksums that call them right.
  if (!FilesAreChecked() || !all_rows_are_there_.load(std::memory_order_acquire)) {
    return {};
  }
  *compacted = 0;
  compaction_looks_again_ = segments_changed_.exchange(false) || MemoryIsWanted();
  LB_TRY(ExpireRows());
  for (const auto& collection : List()) {
    while (true) {
      LB_ASSIGN(const bool did, CompactOne(*collection));
      if (!did) {
        break;
      }
      ++*compacted;
    }
  }
  if (*compacted == 0) {
    return {};
  }
  const Status written = WriteCheckpoint(true);
  LB_KILL_POINT("compaction.written");
  return written;
}

// What is due in a collection, if there is memory for it; its segments then stay where they are until released.
std::optional<CompactionPlan> Store::ClaimCompaction(Collection& collection, std::shared_ptr<const View>* view) {
  const std::lock_guard lock(replacing_mu_);
  *view = collection.shard.Pin();
  SegmentOptions options = options_.segment;
  options.rows_max = SegmentRowsMax(*(*view)->schema, options);
  std::optional<CompactionPlan> plan = PlanCompaction(**view, options, options_.compaction);
  if (plan && !HasRoomToCompact(*plan, *(*view)->schema)) {
    segments_changed_.store(true);  // later there may be
    return std::nullopt;
  }
  if (!plan) {
    return std::nullopt;
  }
  for (size_t i = plan->begin; i < plan->end; ++i) {
    compacting_.push_back((*view)->segments[i].segment.get());
  }
  return plan;
}

bool Store::HasRoomToCompact(const CompactionPlan& plan, const CollectionSchema& schema) const {
  const uint64_t row_bytes = uint64_t{schema.dimension} * ElementSizeBytes(schema.element) +
                             ActiveGraphRowBytes(schema.dimension) + LeanGraphRowBytes(schema.dimension);
  return plan.live_rows == 0 || budget_.HasRoomToCompact(plan.live_rows * row_bytes);
}

// False if nothing was due.
Result<bool> Store::CompactOne(Collection& collection) {
  std::shared_ptr<const View> view = collection.shard.Pin();
  const std::pair state(view->version, view->next_segment);
  if (collection.nothing_to_compact_at == state && !compaction_looks_again_) {
    return false;  // to look is to count the dead of all segments
  }
  const std::optional<CompactionPlan> plan = ClaimCompaction(collection, &view);
  if (!plan) {
    collection.nothing_to_compact_at = state;
    return false;
  }
  LB_KILL_POINT("compaction.begin");
  uint64_t number = 0;
  applier_->RunBetween([&](const State&) { number = collection.shard.TakeSegmentNumber(); });
  Result<std::shared_ptr<Segment>> merged =
      engine::Compact(*view, *plan, number, options_.segment, &compaction_cancelled_, compaction_metrics_);
  if (merged.status().code() == StatusCode::kCancelled) {
    compaction_metrics_.cancelled.Add();
  }
  const std::lock_guard lock(replacing_mu_);
  compacting_.clear();
  LB_TRY(merged.status());
  std::vector<std::shared_ptr<Segment>> old;
  uint64_t rows = 0;
  for (size_t i = plan->begin; i < plan->end; ++i) {
    old.push_back(view->segments[i].segment);
    rows += view->segments[i].rows;
  }
  LB_KILL_POINT("compaction.copied");
  Status replaced;
  applier_->RunBetween([&](const State&) { replaced = collection.shard.ReplaceSegments(old, std::move(*merged)); });
  LB_TRY(replaced);
  LB_KILL_POINT("compaction.replaced");
  compaction_metrics_.compactions.Add();
  compaction_metrics_.rows_dropped.Add(static_cast<double>(rows - plan->live_rows));
  environment_.logger.Info("segments compacted", {{"dataset", collection.name},
                                                  {"segments", plan->end - plan->begin},
                                                  {"rows_before", rows},
                                                  {"rows", plan->live_rows}});
  return true;
}

}  // namespace longbow::engine
