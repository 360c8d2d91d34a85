// What every handler of a node works with. Built by Node, outlives all calls.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "access/key_ring.h"
#include "base/limits.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "engine/snapshot_jobs.h"
#include "engine/store.h"
#include "node/pacer.h"
#include "node/store_access.h"
#include "wire/block_cache.h"

namespace longbow::node {

// Counters of one kind of call, resolved once.
struct CallMetrics {
  Counter ok;
  Counter failed;
  Counter ok_alias;  // the dashboards' name for the same thing
  Counter failed_alias;
  Histogram seconds;
};

// Handles by action: do_get, do_put, ... Thread safe after construction.
class RequestMetrics {
 public:
  explicit RequestMetrics(Metrics& metrics);
  // The handles of an action; unknown ones share "other".
  CallMetrics& For(const std::string& action);

  Counter rows_put;
  Counter rows_got;
  Counter unauthenticated;
  Counter permission_denied;
  Counter rate_allowed;
  Counter rate_throttled;
  Counter queue_age_refusals;
  Histogram put_payload_size_bytes;
  Histogram search_seconds;

 private:
  std::map<std::string, CallMetrics> by_action_;
};

// Calls that want to hear when the node's readiness may have changed. Thread safe.
class ReadinessWatchers {
 public:
  using Watcher = std::function<void()>;  // must be quick; runs on whatever thread brought the change
  void Add(std::weak_ptr<const void> call, Watcher watcher);
  void Notify();

 private:
  std::mutex mu_;
  std::vector<std::pair<std::weak_ptr<const void>, Watcher>>
      watchers_;  // guarded by mu_; those of ended calls are dropped
};

// What all calls of a node share.
struct SharedServices {
  engine::Store& store;
  engine::SnapshotJobs& snapshots;
  ThreadPool& search_pool;  // reads: scans and searches
  ThreadPool& write_pool;   // writes: decode, validate, wait for the log
  RequestMetrics& metrics;
  Logger& logger;
  const std::atomic<bool>& draining;
  ReadinessWatchers& watchers;
  const std::shared_ptr<wire::BlockCache> receive_cache;  // of all streams
  const size_t stream_unacknowledged_max_bytes;           // of one put stream before it is read on
  const access::KeyRing& keys;
  NamespaceQuotas& quotas;
  const std::shared_ptr<access::Meter> meter;  // of the whole node; null: no limits
  Pacer& pacer;
  const std::chrono::milliseconds max_queue_age;  // 0: any
  const uint64_t max_call_memory_bytes;           // 0: any

  // OK if the node takes all requests, else what is wrong: what /readyz and gRPC health say.
  Status Readiness() const { return draining.load() ? Unavailable("the server is stopping") : store.WriteHealth(); }
};

// What one call may work with: the same, but the store as its caller may use it. A value of the call.
struct Services {
  Services(SharedServices& all, access::Caller from, std::shared_ptr<access::OpenCall> call)
      : shared(all),
        caller(std::move(from)),
        open(std::move(call)),
        store(all.store, all.quotas, caller.grant),
        snapshots(all.snapshots),
        search_pool(all.search_pool),
        write_pool(all.write_pool),
        metrics(all.metrics),
        logger(all.logger),
        watchers(all.watchers),
        receive_cache(all.receive_cache),
        stream_unacknowledged_max_bytes(all.stream_unacknowledged_max_bytes) {}

  SharedServices& shared;
  const access::Caller caller;
  const std::shared_ptr<access::OpenCall> open;  // counts this call; null: not counted
  const StoreAccess store;
  engine::SnapshotJobs& snapshots;
  ThreadPool& search_pool;
  ThreadPool& write_pool;
  RequestMetrics& metrics;
  Logger& logger;
  ReadinessWatchers& watchers;
  const std::shared_ptr<wire::BlockCache> receive_cache;
  const size_t stream_unacknowledged_max_bytes;

  Status Readiness() const { return shared.Readiness(); }
};

}  // namespace longbow::node
