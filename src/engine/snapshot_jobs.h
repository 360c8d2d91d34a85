// Snapshots of a running store: begun by a request, written behind it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/metrics.h"
#include "base/status.h"
#include "engine/job.h"
#include "engine/snapshot.h"
#include "engine/snapshot_places.h"
#include "engine/snapshot_removal.h"
#include "engine/store.h"

namespace longbow::engine {

// How far a snapshot is.
struct SnapshotStatus {
  std::string id;
  std::string where;       // "/backups", "s3://bucket/prefix"
  std::string collection;  // empty: all
  JobState state = JobState::kRunning;
  uint64_t files_total = 0;  // 0 until the checkpoint is written
  uint64_t files_done = 0;
  uint64_t bytes_total = 0;
  uint64_t bytes_done = 0;    // those that were there already among them
  uint64_t bytes_copied = 0;  // the others
  double seconds = 0;         // since it was begun, or as long as it took
  Lsn lsn;                    // 0 until it is done
  Status error;               // of a failed one

  JobStatus AsJob() const {
    return {id, "snapshot", collection, state, "bytes", bytes_done, bytes_total, seconds, error};
  }
};

// Thread safe. One snapshot at a time.
class SnapshotJobs {
 public:
  // All outlive it. INVALID_ARGUMENT if the places cannot be.
  static Result<std::unique_ptr<SnapshotJobs>> Make(Store& store, const StoreEnvironment& environment,
                                                    SnapshotPlaces places);
  ~SnapshotJobs() { Stop(); }

  // Begins a snapshot and returns its id; writers do not wait for it. RESOURCE_EXHAUSTED while another is being taken,
  // NOT_FOUND for an unknown collection, and the errors of OpenPlace.
  Result<std::string> Begin(const std::string& place, const std::string& collection);
  // NOT_FOUND if it was not begun by this object, or long ago.
  Result<SnapshotStatus> Find(const std::string& id) const;
  // The same of all that are remembered, oldest first.
  std::vector<JobStatus> List() const;
  // Returns at once; a snapshot that is done stays.
  Status Cancel(const std::string& id);
  Result<std::vector<ListedSnapshot>> ListWritten(const std::string& place, const Cancellation* cancellation) const;
  // See RemoveSnapshots. RESOURCE_EXHAUSTED while a snapshot is being taken or removed: none begins meanwhile either.
  Result<RemovedSnapshots> Remove(const std::string& place, const std::string& id, const Cancellation* cancellation);
  // Cancels what runs and waits for its end; nothing begins any more.
  void Stop();

 private:
  struct Job;

  SnapshotJobs(Store& store, const StoreEnvironment& environment, SnapshotPlaces places);
  void Run(Job& job);
  Status CheckIdleLocked() const;
  std::shared_ptr<Job> FindJob(const std::string& id) const;
  SnapshotStatus StatusOf(const Job& job) const;

  Store& store_;
  const StoreEnvironment environment_;
  const SnapshotPlaces places_;
  KnownContents known_;  // of the running job
  mutable std::mutex mu_;
  std::vector<std::shared_ptr<Job>> jobs_;  // guarded by mu_; the youngest last
  bool stopping_ = false;                   // guarded by mu_
  bool removing_ = false;                   // guarded by mu_
  std::thread thread_;                      // guarded by mu_; of the youngest
  Counter done_;
  Counter failed_;
  Counter cancelled_;
  Counter bytes_copied_;
  Histogram seconds_;
};

}  // namespace longbow::engine
