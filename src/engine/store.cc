#include "engine/store.h"

#include <arrow/api.h>

#include <algorithm>
#include <future>

#include "base/kill_point.h"
#include "base/limits.h"
#include "engine/dataset_name.h"
#include "engine/entry.h"
#include "model/expiry.h"

namespace longbow::engine {
namespace {

using storage::LogRecord;
using storage::RecordKind;

constexpr Term kStandaloneTerm{1};
constexpr size_t kStagedBytes = 1u << 20;  // rows of bulk loads; below, handing them over costs more than it saves

Status CheckName(std::string_view what, const std::string& name) {
  if (name.empty()) {
    return InvalidArgument(std::string(what) + " name cannot be empty");
  }
  if (name.size() > limits::kNameSizeMaxBytes) {
    return InvalidArgument(std::string(what) + " name is " + std::to_string(name.size()) + " bytes long, at most " +
                           std::to_string(limits::kNameSizeMaxBytes) + " are allowed");
  }
  return {};
}

Status UnknownDataset(const std::string& name) { return NotFound("dataset " + name + " not found"); }

}  // namespace

Store::Store(StoreEnvironment environment, StoreOptions options)
    : environment_(environment),
      metrics_(environment.metrics),
      budget_(options.memory.budget, environment.clock),
      scratch_columns_({.scratch = &environment.fs, .folder = options.data_dir}),
      options_([&] {
        options.segment.graph.metrics = &metrics_.graph;
        options.segment.clock = &environment_.clock;
        if (budget_.bounded()) {
          options.segment.budget = options.segment.graph.budget = &budget_;
          options.segment.graph.scratch = {.scratch = &environment_.fs, .folder = options.data_dir};
          options.segment.scratch_columns = &scratch_columns_;
        }
        return std::move(options);
      }()),
      checkpoints_(environment.fs, options_.data_dir) {
  memory_ = std::make_unique<MemoryKeeper>(options_.memory, budget_, environment_.metrics);
}

Result<std::unique_ptr<Store>> Store::Open(StoreEnvironment environment, StoreOptions options) {
  std::unique_ptr<Store> store(new Store(environment, std::move(options)));
  LB_TRY(store->OpenFolder());
  return store;
}

Store::~Store() { Stop(); }

Status Store::OpenFolder() {
  const auto started = environment_.clock.SteadyNow();
  LB_ASSIGN(data_dir_, storage::DataDir::Open(environment_.fs, options_.data_dir, options_.owner_note));
  State state(options_.segment);
  std::vector<std::string> warnings;
  LB_TRY(checkpoints_.Load(&state, &warnings));
  for (const std::string& warning : warnings) {
    environment_.logger.Warn("a derived file is damaged: its rows were read from the segment file instead",
                             {{"reason", warning}});
  }
  LB_ASSIGN(log_, storage::Log::Open(environment_.fs, options_.data_dir + "/log", MakeLogOptions(), checkpoints_.last(),
                                     [&](const LogRecord& record) {
                                       ++replayed_;
                                       return state.Apply(record, {});
                                     }));
  LB_KILL_POINT("open.replayed");
  LB_TRY(checkpoints_.RemoveUnnamedFiles());
  LB_KILL_POINT("open.cleaned");
  AdoptState(state);
  applier_ = std::make_unique<Applier>(std::move(state));
  indexer_ = std::make_unique<Indexer>(
      options_.index_threads, [this] { return List(); }, options_.segment.numa);
  indexer_->Wake();
  memory_->Start([this] { return List(); });
  const uint64_t replayed = replayed_;
  StartFileCheck();
  maintenance_ = std::thread([this] { RunMaintenance(); });
  if (options_.compact) {
    compaction_ = std::thread([this] { RunCompactions(); });
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(environment_.clock.SteadyNow() - started);
  environment_.logger.Info("data folder opened", {{"path", options_.data_dir},
                                                  {"datasets", collections_.size()},
                                                  {"checkpoint_lsn", checkpoints_.last().value},
                                                  {"entries_replayed", replayed},
                                                  {"took_ms", took.count()}});
  return {};
}

void Store::AdoptState(const State& state) {
  for (const auto& [shard, collection] : state.collections()) {
    const std::shared_ptr<const View> view = collection->shard.Pin();
    collection->proposed_schema = *view->schema;
    collection->last_index = LogIndex{view->version};
    collection->end_ordinal_at_open = view->end_ordinal;
    collections_.emplace(collection->name, collection);
  }
  namespaces_ = state.namespaces();
  next_shard_ = state.next_shard();
}

void Store::Stop() {
  {
    std::lock_guard lock(maintenance_mu_);
    stopping_ = true;
  }
  maintenance_wake_.notify_all();
  StopCompactions();
  memory_->Stop();
  if (compaction_.joinable()) {
    compaction_.join();
  }
  if (maintenance_.joinable()) {
    maintenance_.join();
  }
  if (file_check_.joinable()) {
    file_check_.join();
  }
  if (log_) {
    log_->Stop();
  }
  if (applier_) {
    applier_->Stop();
  }
  if (indexer_) {
    indexer_->Stop();
  }
}

void Store::Propose(LogRecord record, Proposed proposed, const std::shared_ptr<Collection>& collection, Done done) {
  record.term = kStandaloneTerm;
  record.time_ns = environment_.clock.WallNowNs();
  if (collection) {
    collection->entries_in_flight.fetch_add(1, std::memory_order_relaxed);
  }
  if (collection && proposed.rows && TotalSize(record.body) >= kStagedBytes) {
    applier_->RunLater([collection, rows = proposed.rows](const State&) { collection->shard.StageRows(rows); });
  }
  // The body of rows is needed until it is written; the other bodies are what gets applied.
  LogRecord kept = record;
  if (record.kind == RecordKind::kRows) {
    kept.body.clear();
  }
  log_->Append(std::move(record), [this, kept = std::move(kept), proposed = std::move(proposed), collection,
                                   done = std::move(done)](Lsn lsn, Status durable) mutable {
    kept.lsn = lsn;
    (durable.ok() ? metrics_.log_writes : metrics_.log_write_errors).Add();
    applier_->Enqueue({std::move(kept), std::move(proposed), std::move(durable),
                       [this, collection, done = std::move(done)](Status status) {
                         if (collection) {
                           collection->entries_in_flight.fetch_sub(1, std::memory_order_release);
                           collection->entries_in_flight.notify_all();
                         }
                         if (status.ok()) {
                           indexer_->Wake();
                         }
                         done(std::move(status));
                       }});
  });
}

Status Store::ProposeAndWait(LogRecord record, Proposed proposed, std::unique_lock<std::mutex>* release,
                             const std::shared_ptr<Collection>& collection) {
  auto answer = std::make_shared<std::promise<Status>>();
  Propose(std::move(record), std::move(proposed), collection,
          [answer](Status status) { answer->set_value(std::move(status)); });
  if (release != nullptr) {
    release->unlock();
  }
  return answer->get_future().get();
}

Result<std::shared_ptr<Collection>> Store::Find(const std::string& name) const {
  std::shared_lock lock(catalog_mu_);
  const auto found = collections_.find(CanonicalName(name));
  if (found == collections_.end()) {
    return UnknownDataset(name);
  }
  return found->second;
}

std::vector<std::shared_ptr<Collection>> Store::List() const {
  std::shared_lock lock(catalog_mu_);
  std::vector<std::shared_ptr<Collection>> list;
  list.reserve(collections_.size());
  for (const auto& [name, collection] : collections_) {
    list.push_back(collection);
  }
  return list;
}

std::vector<std::string> Store::Namespaces() const {
  std::shared_lock lock(catalog_mu_);
  std::set<std::string> names = namespaces_;
  names.insert(kDefaultNamespace);
  for (auto it = collections_.begin(); it != collections_.end();) {
    const std::string name_space = NamespaceOf(it->first);
    names.insert(name_space);
    // Over its other datasets: '0' is the character behind the slash.
    it = name_space == kDefaultNamespace ? std::next(it) : collections_.lower_bound(name_space + "0");
  }
  return {names.begin(), names.end()};
}

size_t Store::CountCollections(const std::string& name_space) const {
  std::shared_lock lock(catalog_mu_);
  if (name_space == kDefaultNamespace) {  // its datasets do not lie together
    return static_cast<size_t>(std::count_if(collections_.begin(), collections_.end(), [](const auto& entry) {
      return NamespaceOf(entry.first) == kDefaultNamespace;
    }));
  }
  const auto first = collections_.lower_bound(name_space + "/");
  return static_cast<size_t>(std::distance(first, collections_.lower_bound(name_space + "0")));
}

Result<std::shared_ptr<Collection>> Store::FindOrCreate(const std::string& name,
                                                        const std::shared_ptr<arrow::Schema>& columns) {
  std::lock_guard order(propose_catalog_mu_);
  if (Result<std::shared_ptr<Collection>> found = Find(name); found.ok()) {
    return found;
  }
  LB_ASSIGN(CollectionSchema schema, CollectionSchema::FromFirstPut(columns));
  LB_TRY(CheckTextColumns(schema));
  LB_ASSIGN(const ExpiryRequest stated, StatedExpiry(*columns));
  if (options_.default_ttl_seconds > 0 && !stated.ttl_seconds && !stated.column) {
    LB_ASSIGN(schema, schema.WithTtl(options_.default_ttl_seconds, std::nullopt));
  }
  LB_ASSIGN(Slice body, EncodeCreateCollection({name, schema.columns}));
  LogRecord record;
  record.kind = RecordKind::kCreateCollection;
  record.shard = next_shard_;
  record.index = LogIndex{1};
  record.body = {std::move(body)};
  auto collection = std::make_shared<Collection>(name, record.shard, schema, options_.segment);
  collection->last_index = record.index;
  LB_TRY(ProposeAndWait(std::move(record), {.rows = nullptr, .collection = collection}));
  std::unique_lock lock(catalog_mu_);
  next_shard_ = next_shard_.Next();
  collections_.emplace(name, collection);
  return collection;
}

uint64_t Store::TailRowsMax(const Collection& collection) const {
  const std::shared_ptr<const CollectionSchema> schema = collection.shard.Pin()->schema;
  return budget_.TailRowsMax(uint64_t{schema->dimension} * ElementSizeBytes(schema->element), options_.tail_rows_max);
}

void Store::Put(const std::string& collection, RowBatch batch, const Cancellation* cancellation, Done done) {
  if (Status status = TryPut(CanonicalName(collection), batch, cancellation, done); !status.ok()) {
    done(std::move(status));
  }
}

// On OK `done` has been handed on.
Status Store::TryPut(const std::string& name, RowBatch& batch, const Cancellation* cancellation, Done& done) {
  LB_TRY(CheckName("dataset", name));
  LB_TRY(WriteHealth());
  bool validated = false;
  bool admitted = false;
  const auto grant = std::make_shared<MemoryBudget::Grant>();
  while (true) {
    std::shared_ptr<Collection> collection;
    if (Result<std::shared_ptr<Collection>> found = Find(name); found.ok()) {
      collection = *found;
    }
    if (!validated) {
      // Before anything is created: a bad first batch leaves no trace.
      const auto schema = [&]() -> Result<CollectionSchema> {
        if (collection == nullptr) {
          return CollectionSchema::FromArrow(batch.rows->schema());
        }
        std::lock_guard lock(collection->propose_mu);
        return collection->proposed_schema.Merge(batch.rows->schema());
      }();
      LB_TRY(schema.status());
      LB_TRY(ValidateRows(*schema, *batch.rows));
      validated = true;
    }
    if (!admitted) {
      // Its rows in their place, and something for what is made of them; as it came it is held already.
      LB_ASSIGN(*grant, budget_.Admit(TotalSize(batch.encoded) / 2 * 3, cancellation));
      admitted = true;
    }
    if (collection == nullptr) {
      LB_ASSIGN(collection, FindOrCreate(name, batch.rows->schema()));
    }
    LB_TRY(indexer_->WaitForRoom(*collection, static_cast<uint64_t>(batch.rows->num_rows()), TailRowsMax(*collection),
                                 cancellation));
    std::unique_lock order(collection->propose_mu);
    if (collection->dropped) {
      validated = false;  // its successor may have other columns
      continue;
    }
    LB_ASSIGN(CollectionSchema merged, collection->proposed_schema.Merge(batch.rows->schema()));
    LogRecord record;
    record.kind = RecordKind::kRows;
    record.shard = collection->shard.id();
    record.index = collection->last_index = collection->last_index.Next();
    record.body = std::move(batch.encoded);
    collection->proposed_schema = std::move(merged);
    const auto rows = static_cast<uint64_t>(batch.rows->num_rows());
    collection->rows_in_flight.fetch_add(rows, std::memory_order_relaxed);
    Propose(std::move(record), {.rows = std::move(batch.rows), .collection = nullptr}, collection,
            [this, rows, grant, collection, done = std::move(done)](Status status) {
              grant->Release();
              collection->rows_in_flight.fetch_sub(rows, std::memory_order_relaxed);
              if (status.ok()) {
                metrics_.rows_put.Add(static_cast<double>(rows));
              }
              done(std::move(status));
            });
    return {};
  }
}

Status Store::Delete(const std::string& name, const std::vector<std::string>& ids) {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  LB_TRY(WriteHealth());
  const std::shared_ptr<const View> view = collection->shard.Pin();
  std::vector<RowKey> keys;
  for (const std::string& id : ids) {
    LB_ASSIGN(RowKey key, ParseKey(*view->schema, id));
    if (!collection->shard.Locate(key).ordinal) {
      return NotFound("id " + id + " not found in dataset " + name);
    }
    keys.push_back(std::move(key));
  }
  std::unique_lock order(collection->propose_mu);
  if (collection->dropped) {
    return UnknownDataset(name);
  }
  LogRecord record;
  record.kind = RecordKind::kDelete;
  record.shard = collection->shard.id();
  record.index = collection->last_index = collection->last_index.Next();
  record.body = {EncodeKeys(keys)};
  LB_TRY(ProposeAndWait(std::move(record), {}, &order, collection));
  metrics_.rows_deleted.Add(static_cast<double>(keys.size()));
  return {};
}

Status Store::DropCollection(const std::string& name) {
  LB_TRY(WriteHealth());
  std::lock_guard catalog_order(propose_catalog_mu_);
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(name));
  std::lock_guard order(collection->propose_mu);
  LogRecord record;
  record.kind = RecordKind::kDropCollection;
  record.shard = collection->shard.id();
  record.index = collection->last_index = collection->last_index.Next();
  LB_TRY(ProposeAndWait(std::move(record), {}));
  collection->dropped = true;
  std::unique_lock lock(catalog_mu_);
  collections_.erase(collection->name);
  return {};
}

Status Store::CreateNamespace(const std::string& name) {
  LB_TRY(CheckName("namespace", name));
  if (name.find('/') != std::string::npos) {
    return InvalidArgument("namespace name '" + name + "' holds a slash: the slash divides namespace and dataset");
  }
  LB_TRY(WriteHealth());
  std::lock_guard order(propose_catalog_mu_);
  if (const bool created =
          [&] {
            std::shared_lock lock(catalog_mu_);
            return name == kDefaultNamespace || namespaces_.contains(name);
          }();
      created || CountCollections(name) > 0) {
    return AlreadyExists("namespace already exists: " + name);
  }
  LogRecord record;
  record.kind = RecordKind::kCreateNamespace;
  record.body = {EncodeName(name)};
  LB_TRY(ProposeAndWait(std::move(record), {}));
  std::unique_lock lock(catalog_mu_);
  namespaces_.insert(name);
  return {};
}

Status Store::DropNamespace(const std::string& name) {
  if (name == kDefaultNamespace) {
    return FailedPrecondition("cannot delete default namespace");
  }
  LB_TRY(WriteHealth());
  std::lock_guard order(propose_catalog_mu_);
  if (const bool created =
          [&] {
            std::shared_lock lock(catalog_mu_);
            return namespaces_.contains(name);
          }();
      !created && CountCollections(name) == 0) {
    return NotFound("namespace not found: " + name);
  }
  if (const size_t inside = CountCollections(name); inside > 0) {
    return FailedPrecondition("namespace " + name + " holds " + std::to_string(inside) +
                              " datasets: delete them first");
  }
  LogRecord record;
  record.kind = RecordKind::kDropNamespace;
  record.body = {EncodeName(name)};
  LB_TRY(ProposeAndWait(std::move(record), {}));
  std::unique_lock lock(catalog_mu_);
  namespaces_.erase(name);
  return {};
}

void Store::UpdateGauges() {
  uint64_t rows = 0;
  uint64_t tail = 0;
  uint64_t filters_size_bytes = 0;
  const auto all = List();
  for (const auto& collection : all) {
    const std::shared_ptr<const View> view = collection->shard.PinNow();
    rows += view->CountLive();
    tail += view->TailRows();
    for (const SegmentView& segment : view->segments) {
      filters_size_bytes += segment.segment->filters().size_bytes();
    }
  }
  metrics_.collections.Set(static_cast<double>(all.size()));
  metrics_.live_rows.Set(static_cast<double>(rows));
  metrics_.tail_rows.Set(static_cast<double>(tail));
  metrics_.filters_size_bytes.Set(static_cast<double>(filters_size_bytes));
  metrics_.log_size_bytes.Set(static_cast<double>(log_->size_bytes()));
  metrics_.read_only.Set(WriteHealth().ok() ? 0 : 1);
  if (const std::vector<JobStatus> compactions = Compactions(); !compactions.empty()) {
    metrics_.compaction.rows_total.Set(static_cast<double>(compactions.back().total));
    metrics_.compaction.rows_done.Set(static_cast<double>(compactions.back().done));
  }
  memory_->UpdateGauges(all);
}

}  // namespace longbow::engine
