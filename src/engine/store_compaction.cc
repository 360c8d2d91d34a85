// Compactions of a store: when, of what, how far, and who may end them.
#include <pthread.h>

#include <algorithm>

#include "base/cpu_pacer.h"
#include "base/kill_point.h"
#include "engine/store.h"

namespace longbow::engine {
namespace {

constexpr size_t kJobsMax = 64;  // that are remembered
constexpr std::chrono::minutes kPauseAfterCancel{10};

}  // namespace

void Store::RunCompactions() {
  pthread_setname_np(pthread_self(), "compact");
  LowerThreadPriority();
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
      const Result<bool> did = CompactOne(*collection);
      if (did.status().code() == StatusCode::kCancelled && !IsStopping()) {
        break;  // by a client, who means this one
      }
      LB_TRY(did.status());
      if (!*did) {
        break;
      }
      ++*compacted;
    }
  }
  if (*compacted == 0) {
    return {};
  }
  if (options_.tidy_files) {
    LB_TRY(WriteGraphs());  // so that no restart has to make again what took so long
  }
  const Status written = WriteCheckpoint(true);
  LB_KILL_POINT("compaction.written");
  return written;
}

// A last segment of many dead rows takes no more, so that it can be compacted too. False: it may have to be, but not
// while the collection is being written to.
bool Store::EndWastefulSegment(Collection& collection, const View& view, bool at_rest) {
  const OpenSegment judged = JudgeOpenSegment(view, options_.compaction);
  if (judged == OpenSegment::kWasteful || (judged == OpenSegment::kWastefulAtRest && at_rest)) {
    applier_->RunBetween([&](const State&) { collection.shard.EndLastSegment(0); });
    return true;
  }
  return judged == OpenSegment::kFine;
}

// What is due in a collection, if there is memory for it; its segments then stay where they are until released.
std::optional<CompactionPlan> Store::ClaimCompaction(Collection& collection, bool at_rest,
                                                     std::shared_ptr<const View>* view) {
  const std::lock_guard lock(replacing_mu_);
  *view = collection.shard.Pin();
  std::optional<CompactionPlan> plan =
      PlanCompaction(**view, options_.compaction, JoinRuleFor(*(*view)->schema, at_rest));
  if (plan && !FindRoomToCompact(*(*view)->schema, &*plan)) {
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

// Where rows are more than the memory, new segments are small, and searches, which visit all, slow: what comes to rest
// is joined as far as each row is copied a few times only.
JoinRule Store::JoinRuleFor(const CollectionSchema& schema, bool at_rest) {
  JoinRule rule{.rows_max = SegmentRowsMax(schema, options_.segment)};
  if (HasScratch()) {
    const uint64_t rows_max = std::min<uint64_t>(options_.segment.rows_max, CachedRows(schema));
    rule.rows_max = std::max(
        rule.rows_max,
        budget_.CompactionRowsMax(kScratchCompactionRowBytes, ScratchCompactionBytes(schema.dimension), rows_max));
    rule.mapped_only = MemoryIsWanted();
    if (at_rest && budget_.IsSmallerThanRows()) {
      rule.segments_min = 2;
      rule.largest_part = 2;
    }
  }
  return rule;
}

// Of how many rows a graph can be built whose pages stay in what the kernel has for files: it is read and written all
// over, and would be built from the disk otherwise.
uint64_t Store::CachedRows(const CollectionSchema& schema) const {
  const uint64_t limit = options_.memory.limit_bytes();
  if (limit == 0) {
    return UINT64_MAX;
  }
  return (limit - std::min(limit, budget_.held_bytes())) / 4 * 3 / ActiveGraphRowBytes(schema.dimension);
}

// Whether the data folder's file system has scratch files, found out once.
bool Store::HasScratch() {
  if (!has_scratch_) {
    has_scratch_ =
        budget_.bounded() && index::ReservedMemory::Create(1, "a trial", options_.segment.graph.scratch).ok();
  }
  return *has_scratch_;
}

// In memory, or in scratch files.
bool Store::FindRoomToCompact(const CollectionSchema& schema, CompactionPlan* plan) {
  const uint64_t row_bytes = uint64_t{schema.dimension} * ElementSizeBytes(schema.element) +
                             ActiveGraphRowBytes(schema.dimension) + LeanGraphRowBytes(schema.dimension);
  if (plan->live_rows == 0 || budget_.HasRoomFor(plan->live_rows * row_bytes)) {
    return true;
  }
  uint64_t size_bytes = plan->live_rows * row_bytes;
  if (HasScratch()) {
    const uint64_t scratch_bytes =
        ScratchCompactionBytes(schema.dimension) + plan->live_rows * kScratchCompactionRowBytes;
    plan->in_scratch = true;
    size_bytes = std::min(size_bytes, scratch_bytes);
  }
  plan->memory_bytes = size_bytes;
  return budget_.HasRoomToCompact(size_bytes);
}

// False if nothing was due.
Result<bool> Store::CompactOne(Collection& collection) {
  std::shared_ptr<const View> view = collection.shard.Pin();
  auto& memory = collection.compaction;
  const std::pair state(view->version, view->next_segment);
  const auto now = environment_.clock.SteadyNow();
  if ((memory.nothing_to_do_at == state && !compaction_looks_again_) || now < memory.paused_until) {
    return false;  // to look is to count the dead of all segments
  }
  const bool at_rest = memory.seen_version == view->version;
  memory.seen_version = view->version;
  const bool judged = EndWastefulSegment(collection, *view, at_rest);
  const std::optional<CompactionPlan> plan = ClaimCompaction(collection, at_rest, &view);
  if (!plan) {
    if (judged && (at_rest || !budget_.bounded())) {
      memory.nothing_to_do_at = state;
    }
    return false;
  }
  const std::shared_ptr<CompactionJob> job = BeginCompactionJob(collection, *plan);
  const Status status = RunCompaction(collection, *view, *plan, *job);
  EndCompactionJob(*job, status);
  if (status.code() == StatusCode::kCancelled) {
    memory.paused_until = environment_.clock.SteadyNow() + kPauseAfterCancel;
  }
  LB_TRY(status);
  return true;
}

Status Store::RunCompaction(Collection& collection, const View& view, const CompactionPlan& plan, CompactionJob& job) {
  LB_KILL_POINT("compaction.begin");
  const std::shared_ptr<void> reserved = budget_.ReserveCompaction(plan.memory_bytes);
  uint64_t number = 0;
  applier_->RunBetween([&](const State&) { number = collection.shard.TakeSegmentNumber(); });
  Result<std::shared_ptr<Segment>> merged =
      engine::Compact(view, plan, number, options_.segment, options_.compaction.cpu_percent, &job.progress);
  const std::lock_guard lock(replacing_mu_);
  compacting_.clear();
  LB_TRY(merged.status());
  std::vector<std::shared_ptr<Segment>> old;
  uint64_t rows = 0;
  for (size_t i = plan.begin; i < plan.end; ++i) {
    old.push_back(view.segments[i].segment);
    rows += view.segments[i].rows;
  }
  LB_KILL_POINT("compaction.copied");
  Status replaced;
  applier_->RunBetween([&](const State&) { replaced = collection.shard.ReplaceSegments(old, std::move(*merged)); });
  LB_TRY(replaced);
  LB_KILL_POINT("compaction.replaced");
  metrics_.compaction.rows_dropped.Add(static_cast<double>(rows - plan.live_rows));
  environment_.logger.Info("segments compacted", {{"dataset", collection.name},
                                                  {"segments", plan.end - plan.begin},
                                                  {"rows_before", rows},
                                                  {"rows", plan.live_rows}});
  return {};
}

std::shared_ptr<Store::CompactionJob> Store::BeginCompactionJob(const Collection& collection,
                                                                const CompactionPlan& plan) {
  auto job = std::make_shared<CompactionJob>();
  job->collection = collection.name;
  job->rows_total = plan.live_rows * 2;
  job->started = environment_.clock.SteadyNow();
  const std::lock_guard lock(compaction_jobs_mu_);
  job->id = "compaction-" + std::to_string(++compactions_begun_);
  if (compaction_jobs_.size() == kJobsMax) {
    compaction_jobs_.erase(compaction_jobs_.begin());
  }
  compaction_jobs_.push_back(job);
  if (compactions_stopped_) {
    job->progress.cancellation.Cancel();
  }
  return job;
}

void Store::EndCompactionJob(CompactionJob& job, const Status& status) {
  const bool cancelled = status.code() == StatusCode::kCancelled;
  (status.ok() ? metrics_.compaction.compactions
   : cancelled ? metrics_.compaction.cancelled
               : metrics_.compaction.failed)
      .Add();
  const std::lock_guard lock(compaction_jobs_mu_);
  job.ended = environment_.clock.SteadyNow();
  job.state = status.ok() ? JobState::kDone : cancelled ? JobState::kCancelled : JobState::kFailed;
  job.error = status.ok() || cancelled ? Status() : status;
}

std::vector<JobStatus> Store::Compactions() const {
  const std::lock_guard lock(compaction_jobs_mu_);
  std::vector<JobStatus> list;
  for (const auto& job : compaction_jobs_) {
    const auto until = job->state == JobState::kRunning ? environment_.clock.SteadyNow() : job->ended;
    const uint64_t done = job->state == JobState::kDone ? job->rows_total : job->progress.rows_done.load();
    list.push_back({job->id, "compaction", job->collection, job->state, "rows", done, job->rows_total,
                    std::chrono::duration<double>(until - job->started).count(), job->error});
  }
  return list;
}

Status Store::CancelCompaction(const std::string& id) {
  const std::lock_guard lock(compaction_jobs_mu_);
  const auto found =
      std::find_if(compaction_jobs_.begin(), compaction_jobs_.end(), [&](const auto& job) { return job->id == id; });
  if (found == compaction_jobs_.end()) {
    return NotFound("no such compaction was begun since this node started");
  }
  (*found)->progress.cancellation.Cancel();
  return {};
}

void Store::StopCompactions() {
  const std::lock_guard lock(compaction_jobs_mu_);
  compactions_stopped_ = true;
  if (!compaction_jobs_.empty()) {
    compaction_jobs_.back()->progress.cancellation.Cancel();
  }
}

}  // namespace longbow::engine
