#include "engine/snapshot_jobs.h"

#include <pthread.h>

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "base/cpu_pacer.h"
#include "base/random.h"

namespace longbow::engine {
namespace {

constexpr size_t kJobsMax = 64;  // that are remembered

}  // namespace

struct SnapshotJobs::Job {
  std::string id;
  std::string collection;
  int64_t taken_at_ns = 0;
  Cancellation cancellation;  // the target looks at it
  std::unique_ptr<SnapshotTarget> target;
  std::string where;
  SnapshotProgress progress;
  std::chrono::steady_clock::time_point started;

  mutable std::mutex mu;
  JobState state = JobState::kRunning;  // guarded by mu, as all below
  std::chrono::steady_clock::time_point ended;
  Lsn lsn;
  Status error;
};

SnapshotJobs::SnapshotJobs(Store& store, const StoreEnvironment& environment, SnapshotPlaces places)
    : store_(store), environment_(environment), places_(std::move(places)) {
  Metrics& metrics = environment_.metrics;
  const auto count = [&](const char* status) {
    return metrics.MakeCounter("longbow_snapshots_total", "Snapshots by outcome", {{"status", status}});
  };
  done_ = count("ok");
  failed_ = count("error");
  cancelled_ = count("cancelled");
  bytes_copied_ =
      metrics.MakeCounter("longbow_snapshot_copied_bytes_total", "Bytes that snapshots wrote to their place");
  seconds_ = metrics.MakeHistogram("longbow_snapshot_duration_seconds", "Time of a snapshot", LatencyBuckets());
}

Result<std::unique_ptr<SnapshotJobs>> SnapshotJobs::Make(Store& store, const StoreEnvironment& environment,
                                                         SnapshotPlaces places) {
  if (!places.s3.bucket.empty()) {
    LB_TRY(storage::CheckS3Settings(places.s3));
  }
  return std::unique_ptr<SnapshotJobs>(new SnapshotJobs(store, environment, std::move(places)));
}

Status SnapshotJobs::CheckIdleLocked() const {
  if (stopping_) {
    return Unavailable("the server is stopping");
  }
  if (removing_) {
    return ResourceExhausted("a snapshot is being removed: wait for its end");
  }
  if (!jobs_.empty()) {
    const std::lock_guard job_lock(jobs_.back()->mu);
    if (jobs_.back()->state == JobState::kRunning) {
      return ResourceExhausted("snapshot " + jobs_.back()->id + " is being taken: wait for its end, or cancel it");
    }
  }
  return {};
}

Result<std::string> SnapshotJobs::Begin(const std::string& place, const std::string& collection) {
  std::string name;
  if (!collection.empty()) {
    LB_ASSIGN(const std::shared_ptr<Collection> found, store_.Find(collection));
    name = found->name;
  }
  LB_ASSIGN(const uint64_t number, SystemSeed());
  auto job = std::make_shared<Job>();
  job->taken_at_ns = environment_.clock.WallNowNs();
  job->id = MakeSnapshotId(job->taken_at_ns, number);
  job->collection = std::move(name);
  job->started = environment_.clock.SteadyNow();

  const std::lock_guard lock(mu_);
  LB_TRY(CheckIdleLocked());
  if (thread_.joinable()) {
    thread_.join();  // it has said its last word
  }
  LB_ASSIGN(job->target, OpenPlace(environment_.fs, places_, place, TargetAccess::kWrite, &job->cancellation));
  job->where = job->target->where();
  if (jobs_.size() == kJobsMax) {
    jobs_.erase(jobs_.begin());
  }
  jobs_.push_back(job);
  thread_ = std::thread([this, job] { Run(*job); });
  return job->id;
}

void SnapshotJobs::Run(Job& job) {
  pthread_setname_np(pthread_self(), "snapshot");
  LowerThreadPriority();
  environment_.logger.Info("snapshot begun", {{"id", job.id}, {"target", job.where}});
  const Result<storage::SnapshotIndex> index = [&]() -> Result<storage::SnapshotIndex> {
    LB_ASSIGN(const auto manifest, store_.PinCheckpoint());
    return WriteSnapshot(store_.folder(), *manifest, {job.id, job.collection, job.taken_at_ns}, *job.target, &known_,
                         &job.cancellation, &job.progress);
  }();
  if (index.ok() && job.collection.empty()) {
    std::set<std::string> files;
    for (const storage::SnapshotFile& file : index->files) {
      files.insert(file.file);
    }
    std::erase_if(known_, [&](const auto& known) { return !files.contains(known.first.first); });
  }
  job.target.reset();  // and with it the lock of a folder
  // An error that came while it was being cancelled is the cancelling's.
  const bool cancelled = !index.ok() && job.cancellation.cancelled();
  bytes_copied_.Add(static_cast<double>(job.progress.bytes_copied));
  (index.ok() ? done_ : cancelled ? cancelled_ : failed_).Add();
  const auto ended = environment_.clock.SteadyNow();
  const double seconds = std::chrono::duration<double>(ended - job.started).count();
  seconds_.Observe(seconds);
  if (index.ok()) {
    environment_.logger.Info("snapshot written", {{"id", job.id},
                                                  {"lsn", index->lsn.value},
                                                  {"files", index->files.size()},
                                                  {"bytes", index->size_bytes()},
                                                  {"bytes_copied", job.progress.bytes_copied.load()},
                                                  {"took_ms", seconds * 1000}});
  } else if (cancelled) {
    environment_.logger.Info("snapshot cancelled", {{"id", job.id}});
  } else {
    environment_.logger.Error("snapshot failed", {{"id", job.id}, {"reason", index.status().ToString()}});
  }
  const std::lock_guard lock(job.mu);
  job.ended = ended;
  job.state = index.ok() ? JobState::kDone : cancelled ? JobState::kCancelled : JobState::kFailed;
  job.lsn = index.ok() ? index->lsn : Lsn{};
  job.error = index.ok() || cancelled ? Status() : index.status();
}

std::shared_ptr<SnapshotJobs::Job> SnapshotJobs::FindJob(const std::string& id) const {
  const std::lock_guard lock(mu_);
  const auto found = std::find_if(jobs_.begin(), jobs_.end(), [&](const auto& job) { return job->id == id; });
  return found == jobs_.end() ? nullptr : *found;
}

Result<SnapshotStatus> SnapshotJobs::Find(const std::string& id) const {
  const std::shared_ptr<Job> job = FindJob(id);
  if (job == nullptr) {
    return NotFound("no such snapshot was begun since this node started: ListSnapshots tells which are complete");
  }
  return StatusOf(*job);
}

SnapshotStatus SnapshotJobs::StatusOf(const Job& job) const {
  SnapshotStatus status;
  status.id = job.id;
  status.where = job.where;
  status.collection = job.collection;
  status.files_total = job.progress.files_total;
  status.files_done = job.progress.files_done;
  status.bytes_total = job.progress.bytes_total;
  status.bytes_done = job.progress.bytes_done;
  status.bytes_copied = job.progress.bytes_copied;
  const std::lock_guard lock(job.mu);
  status.state = job.state;
  status.lsn = job.lsn;
  status.error = job.error;
  const auto until = job.state == JobState::kRunning ? environment_.clock.SteadyNow() : job.ended;
  status.seconds = std::chrono::duration<double>(until - job.started).count();
  return status;
}

std::vector<JobStatus> SnapshotJobs::List() const {
  std::vector<std::shared_ptr<Job>> jobs;
  {
    const std::lock_guard lock(mu_);
    jobs = jobs_;
  }
  std::vector<JobStatus> list;
  for (const auto& job : jobs) {
    list.push_back(StatusOf(*job).AsJob());
  }
  return list;
}

Status SnapshotJobs::Cancel(const std::string& id) {
  const std::shared_ptr<Job> job = FindJob(id);
  if (job == nullptr) {
    return NotFound("no such snapshot was begun since this node started");
  }
  job->cancellation.Cancel();
  return {};
}

Result<std::vector<ListedSnapshot>> SnapshotJobs::ListWritten(const std::string& place,
                                                              const Cancellation* cancellation) const {
  auto target = OpenPlace(environment_.fs, places_, place, TargetAccess::kRead, cancellation);
  if (target.status().code() == StatusCode::kNotFound) {  // the first snapshot makes the folder
    return std::vector<ListedSnapshot>();
  }
  LB_TRY(target.status());
  return ListSnapshots(**target);
}

Result<RemovedSnapshots> SnapshotJobs::Remove(const std::string& place, const std::string& id,
                                              const Cancellation* cancellation) {
  {
    const std::lock_guard lock(mu_);
    LB_TRY(CheckIdleLocked());
    removing_ = true;
  }
  Result<RemovedSnapshots> removed = [&]() -> Result<RemovedSnapshots> {
    LB_ASSIGN(const auto target, OpenPlace(environment_.fs, places_, place, TargetAccess::kWrite, cancellation));
    return RemoveSnapshots(*target, {id}, cancellation);
  }();
  const std::lock_guard lock(mu_);
  removing_ = false;
  return removed;
}

void SnapshotJobs::Stop() {
  std::thread thread;
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
    if (!jobs_.empty()) {
      jobs_.back()->cancellation.Cancel();
    }
    thread.swap(thread_);
  }
  if (thread.joinable()) {
    thread.join();
  }
}

}  // namespace longbow::engine
