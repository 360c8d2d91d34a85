// Every collection of one data folder: writes go through the log, reads see what was acknowledged.
//
//   Put -> check -> log (group commit, fsync) -> apply (rows visible) -> done;  graphs are linked behind it
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/sync_policy.h"
#include "engine/applier.h"
#include "engine/checkpoint.h"
#include "engine/collection.h"
#include "engine/compaction.h"
#include "engine/file_check.h"
#include "engine/indexer.h"
#include "engine/job.h"
#include "engine/memory_budget.h"
#include "engine/memory_keeper.h"
#include "engine/scratch_columns.h"
#include "engine/search.h"
#include "engine/store_metrics.h"
#include "model/payload.h"
#include "model/predicate.h"
#include "model/row_batch.h"
#include "storage/data_dir.h"
#include "storage/log.h"

namespace longbow::engine {

struct StoreOptions {
  std::string data_dir;
  std::string owner_note;  // who we are, for the lock file
  SegmentOptions segment;
  SearchDefaults search;
  uint32_t index_threads = 1;
  uint64_t tail_rows_max;           // rows outside the graphs before puts have to wait
  int64_t default_ttl_seconds = 0;  // of collections whose first put says nothing about expiry; 0: rows stay
  uint64_t log_file_size_bytes;
  SyncPolicy log_sync = SyncPolicy::kFsync;
  std::chrono::milliseconds log_sync_interval{100};  // of kInterval
  uint64_t checkpoint_log_size_bytes;                // a checkpoint is due when the log is larger
  std::chrono::milliseconds checkpoint_interval{0};  // and, if something changed, this often; 0 = never
  // Without being asked: write graphs to files when they are sealed, damaged files when they are found, and what was
  // replayed at the start, so that the next one replays nothing.
  bool tidy_files = true;
  bool compact = true;  // behind the clients' backs
  CompactionOptions compaction = {};
  std::chrono::milliseconds compaction_period{2000};  // between looks for something to compact
  MemoryOptions memory = {};
};

// What a store needs of the outside; all must outlive it.
struct StoreEnvironment {
  FileSystem& fs;
  Clock& clock;
  Logger& logger;
  Metrics& metrics;
};

// Thread safe. Writes return or call back when they are durable (as far as the sync policy goes) and visible, or say
// why not: nothing happened then, except after UNAVAILABLE from a failing disk, where the entry may come back with a
// restart. After a failure of the disk reads go on, writes are refused, and every second the log is tried again.
class Store {
 public:
  using Done = std::function<void(Status)>;

  // Takes the folder's lock, loads the checkpoint, replays the log. Errors of the folder's files are passed on
  // unchanged and leave them as they are.
  static Result<std::unique_ptr<Store>> Open(StoreEnvironment environment, StoreOptions options);
  ~Store();

  // ---- writes ----
  // Puts rows into a collection, which the first put creates, be it empty. A row whose id exists replaces the older
  // one. `done` runs on another thread, in the order of the puts of one collection. INVALID_ARGUMENT (schema, values),
  // UNAVAILABLE (read-only), RESOURCE_EXHAUSTED. May wait for the index: see `cancellation`.
  void Put(const std::string& collection, RowBatch batch, const Cancellation* cancellation, Done done);
  // Deletes rows by id; every id must have been put once, else NOT_FOUND `id 7 not found in dataset x` and nothing is
  // deleted.
  Status Delete(const std::string& collection, const std::vector<std::string>& ids);
  // Deletes the live rows that pass a filter, by one entry; how many. They are those of all entries before it: what was
  // acknowledged, or will be before it. INVALID_ARGUMENT, NOT_FOUND, RESOURCE_EXHAUSTED (too many ids for one entry).
  Result<uint64_t> DeleteWhere(const std::string& collection, const Predicate& filter,
                               const Cancellation* cancellation);
  // Deletes the row with an ordinal, if it is alive. NOT_FOUND for one that no row has had.
  Status DeleteOrdinal(const std::string& collection, uint64_t ordinal);
  // Sets columns of rows, by one entry: of those with `ids` (NOT_FOUND if one is not alive), else of those that pass
  // `filter`, as DeleteWhere. Ids and vectors stay; how many rows. INVALID_ARGUMENT, NOT_FOUND, FAILED_PRECONDITION (a
  // collection without ids, a row without vector), RESOURCE_EXHAUSTED (memory, too many rows).
  Result<uint64_t> Update(const std::string& collection, const std::vector<std::string>& ids, const Predicate& filter,
                          const std::vector<PayloadColumn>& values, const Cancellation* cancellation);
  // Rows put from now on live for `ttl_seconds`, 0: for ever, unless the expiry column of their row says otherwise;
  // `column`: which that is, if the collection has none yet (else `expires_at`). INVALID_ARGUMENT, NOT_FOUND.
  Status SetTtl(const std::string& collection, int64_t ttl_seconds, const std::optional<std::string>& column);
  // Deletes the rows whose time has come, by an entry of the log for each collection that has some; no client sees them
  // before either. Also done every second, and before compactions.
  Status ExpireRows();
  Status DropCollection(const std::string& name);
  Status CreateNamespace(const std::string& name);
  Status DropNamespace(const std::string& name);
  // Writes a checkpoint now and cuts the log.
  Status Checkpoint();
  // Writes a checkpoint unless nothing changed, and keeps its files, below `folder()`, as long as it is held. Writers
  // do not wait for it.
  Result<std::shared_ptr<const storage::Manifest>> PinCheckpoint();
  const DataFolder& folder() const { return checkpoints_.folder(); }

  // ---- reads ----
  Result<std::shared_ptr<Collection>> Find(const std::string& name) const;
  std::vector<std::shared_ptr<Collection>> List() const;  // by name
  std::vector<std::string> Namespaces() const;  // with "default"; created ones and those of collections' names
  size_t CountCollections(const std::string& name_space) const;
  Result<std::vector<QueryResult>> Search(const SearchRequest& request, const Cancellation* cancellation) const;
  // Live rows that pass a filter, exactly.
  Result<uint64_t> Count(const std::string& collection, const Predicate& filter,
                         const Cancellation* cancellation) const;
  // Nearest rows to a stored row, itself among them.
  Result<std::vector<Hit>> SearchById(const std::string& collection, const std::string& id, int64_t k,
                                      const Cancellation* cancellation) const;

  // Compacts what is due in any collection, and writes the checkpoint that frees the old files. `compacted`: how many
  // times. CANCELLED once the store stops.
  Status Compact(size_t* compacted);
  // Those that run or ran, oldest first.
  std::vector<JobStatus> Compactions() const;
  // Returns at once; the collection is left alone for ten minutes then. NOT_FOUND: it was not begun by this object.
  Status CancelCompaction(const std::string& id);

  // OK, or why no write can succeed.
  Status WriteHealth() const;
  // Makes the log take writes again after the disk failed, if it can; also done in the background. OK if it takes them.
  Status RecoverLog();
  // Whether all files that the start took on trust have been read.
  bool FilesAreChecked() const { return files_checked_.load(std::memory_order_acquire); }
  // Refreshes gauges that are read rather than counted; call before rendering metrics.
  void UpdateGauges();
  // Ends background work after committing and applying what was accepted.
  void Stop();

 private:
  Store(StoreEnvironment environment, StoreOptions options);
  Status OpenFolder();
  void AdoptState(const State& state);
  std::vector<CheckedSegment> LoadedSegments() const;
  void StartFileCheck();
  Result<std::shared_ptr<Collection>> FindOrCreate(const std::string& name,
                                                   const std::shared_ptr<arrow::Schema>& columns);
  uint64_t TailRowsMax(const Collection& collection) const;
  Status TryPut(const std::string& name, RowBatch& batch, const Cancellation* cancellation, Done& done);
  // Queues an entry; the caller holds the mutex that orders entries of this kind.
  void Propose(storage::LogRecord record, Proposed proposed, const std::shared_ptr<Collection>& collection, Done done);
  // The same, and waits for the answer; `release`, if given, is unlocked once the entry has its place in the log.
  // `collection`: whose rows it concerns, if those of one.
  Status ProposeAndWait(storage::LogRecord record, Proposed proposed, std::unique_lock<std::mutex>* release = nullptr,
                        const std::shared_ptr<Collection>& collection = nullptr);
  // store_rows.cc
  Result<std::unique_lock<std::mutex>> HoldWriters(Collection& collection, const std::string& name);
  Status ProposeKeys(const std::shared_ptr<Collection>& collection, std::unique_lock<std::mutex>& order,
                     storage::RecordKind kind, Slice body);
  Status AdmitUpdate(const std::shared_ptr<Collection>& collection, uint64_t rows, const Cancellation* cancellation,
                     MemoryBudget::Grant* grant);
  storage::LogOptions MakeLogOptions();
  // `even_unchanged`: also if no entry came since the last.
  Status WriteCheckpoint(bool even_unchanged);
  // Graphs that stand and are in no file; OK if there was nothing to do. Stops early when the store does.
  Status WriteGraphs();
  bool IsStopping() const;
  void RunMaintenance();
  void RunCompactions();
  // store_compaction.cc
  struct CompactionJob {
    std::string id;
    std::string collection;
    uint64_t rows_total = 0;
    std::chrono::steady_clock::time_point started;
    CompactionProgress progress;
    JobState state = JobState::kRunning;  // guarded by compaction_jobs_mu_, as the next two
    std::chrono::steady_clock::time_point ended;
    Status error;
  };
  Result<bool> CompactOne(Collection& collection);
  bool EndWastefulSegment(Collection& collection, const View& view, bool at_rest);
  Status RunCompaction(Collection& collection, const View& view, const CompactionPlan& plan, CompactionJob& job);
  std::shared_ptr<CompactionJob> BeginCompactionJob(const Collection& collection, const CompactionPlan& plan);
  void EndCompactionJob(CompactionJob& job, const Status& status);
  void StopCompactions();
  std::optional<CompactionPlan> ClaimCompaction(Collection& collection, bool at_rest,
                                                std::shared_ptr<const View>* view);
  JoinRule JoinRuleFor(const CollectionSchema& schema, bool at_rest);
  uint64_t CachedRows(const CollectionSchema& schema) const;
  bool HasScratch();
  bool FindRoomToCompact(const CollectionSchema& schema, CompactionPlan* plan);
  // store_files.cc
  bool MemoryIsWanted() const;
  uint64_t RowsInMemoryBytes() const;
  bool HasSegmentsInScratch() const;
  void EndOpenSegments();
  size_t MoveToFiles();
  bool MoveToFiles(Collection& collection, const SegmentView& segment, const storage::SegmentEntry& entry);
  void WatchLog(std::chrono::steady_clock::time_point now);
  void ForgetRefusedSchemas();

  const StoreEnvironment environment_;
  StoreMetrics metrics_;            // segments point to it
  MemoryBudget budget_;             // segments point to it
  ScratchColumns scratch_columns_;  // likewise
  const StoreOptions options_;
  std::unique_ptr<storage::DataDir> data_dir_;
  std::unique_ptr<storage::Log> log_;
  std::unique_ptr<Applier> applier_;
  std::unique_ptr<Indexer> indexer_;
  std::unique_ptr<MemoryKeeper> memory_;

  mutable std::shared_mutex catalog_mu_;
  std::map<std::string, std::shared_ptr<Collection>> collections_;  // guarded by catalog_mu_
  std::set<std::string> namespaces_;                                // guarded by catalog_mu_
  ShardId next_shard_{1};                                           // guarded by catalog_mu_
  std::mutex propose_catalog_mu_;  // orders entries of the catalog; taken before catalog_mu_

  std::mutex checkpoint_mu_;
  Checkpoints checkpoints_;  // guarded by checkpoint_mu_

  mutable std::mutex maintenance_mu_;
  std::condition_variable maintenance_wake_;
  bool stopping_ = false;  // guarded by maintenance_mu_
  std::thread maintenance_;
  bool log_was_healthy_ = true;                                // of the maintenance thread
  std::chrono::steady_clock::time_point next_recovery_{};      // of the maintenance thread
  std::chrono::steady_clock::time_point next_expiry_sweep_{};  // likewise
  std::thread file_check_;
  std::thread compaction_;
  std::mutex expiry_mu_;                      // one sweep at a time; taken before all others but compaction_mu_
  std::mutex compaction_mu_;                  // one compaction at a time; taken before all others
  std::mutex replacing_mu_;                   // who takes segments out of shards; taken before checkpoint_mu_
  std::vector<const Segment*> compacting_;    // guarded by replacing_mu_
  std::optional<bool> has_scratch_;           // guarded by compaction_mu_
  bool compaction_looks_again_ = false;       // guarded by compaction_mu_: where nothing was to be done before
  std::atomic<bool> segments_changed_{true};  // moved to files, or memory was short for a compaction
  mutable std::mutex compaction_jobs_mu_;
  std::vector<std::shared_ptr<CompactionJob>> compaction_jobs_;  // guarded by compaction_jobs_mu_; the youngest last
  uint64_t compactions_begun_ = 0;                               // guarded by compaction_jobs_mu_
  bool compactions_stopped_ = false;                             // guarded by compaction_jobs_mu_
  std::atomic<bool> all_rows_are_there_{false};
  std::atomic<bool> files_checked_{false};
  int short_rounds_ = 0;   // of the maintenance thread: puts waited, and no segment could be moved
  uint64_t replayed_ = 0;  // entries, at the start; then the maintenance thread's
};

}  // namespace longbow::engine
