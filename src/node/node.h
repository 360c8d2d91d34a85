// One Longbow node: a store behind Flight on the data and meta ports, and the operator's HTTP port.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "access/key_ring.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/logging.h"
#include "base/metrics.h"
#include "base/status.h"
#include "base/thread_pool.h"
#include "engine/snapshot_jobs.h"
#include "engine/store.h"
#include "net/server.h"
#include "node/file_watch.h"
#include "node/serve_options.h"
#include "node/services.h"

namespace longbow::node {

// Built by bin/ from outside parts that outlive it. Start and Stop from one thread.
class Node {
 public:
  // Opens the operator's port first (so that probes see a long recovery), then the data folder, then the Flight ports.
  // Errors: those of net::Server::Start and engine::Store::Open.
  static Result<std::unique_ptr<Node>> Start(const ServeOptions& options, engine::StoreEnvironment environment);
  ~Node() { Stop(std::chrono::milliseconds(0)); }

  // The ports that were bound.
  uint16_t data_port() const { return data_server_->port(); }
  uint16_t meta_port() const { return meta_server_->port(); }
  uint16_t metrics_port() const { return metrics_server_->port(); }

  // Refuses new calls, lets those in flight end within `grace`, then ends all work. What was acknowledged is durable
  // already.
  void Stop(std::chrono::milliseconds grace);

 private:
  Node(const ServeOptions& options, engine::StoreEnvironment environment);
  Status StartMetricsPort();
  Status OpenStore();
  Status StartFlightPorts();
  void WatchFiles();
  Status ReplaceCertificates(const std::vector<std::string>& contents);

  const ServeOptions options_;
  const engine::StoreEnvironment environment_;
  RequestMetrics request_metrics_;
  access::KeyRing keys_;
  ThreadPool search_pool_;
  ThreadPool write_pool_;
  ReadinessWatchers watchers_;
  Pacer pacer_;
  std::atomic<bool> draining_{false};
  std::atomic<bool> started_{false};
  std::unique_ptr<engine::Store> store_;
  std::unique_ptr<NamespaceQuotas> quotas_;  // answers of the store use it: it ends after the store has stopped
  std::unique_ptr<engine::SnapshotJobs> snapshots_;
  std::unique_ptr<SharedServices> services_;
  std::unique_ptr<net::Server> metrics_server_;
  std::unique_ptr<net::Server> data_server_;
  std::unique_ptr<net::Server> meta_server_;
  std::unique_ptr<FileWatch> watch_;  // uses all of the above
};

}  // namespace longbow::node
