#include "node/node.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <thread>

#include "base/limits.h"
#include "node/flight_service.h"
#include "node/http_endpoints.h"

namespace longbow::node {
namespace {

constexpr size_t kPoolQueueMax = 100'000;
constexpr std::chrono::milliseconds kOperatorGrace{500};

// `most`, or less where that part of the budget is less.
uint64_t WithinBudget(const ServeOptions& options, uint64_t parts, uint64_t most) {
  return options.max_memory_bytes == 0 ? most : std::min(most, options.max_memory_bytes / parts);
}

net::ServerOptions FlightServerOptions(const ServeOptions& options, const std::string& listen) {
  net::ServerOptions server;
  server.listen = listen;
  server.cert_pem = options.tls_cert.text;
  server.key_pem = options.tls_key.text;
  server.client_ca_pem = options.tls_client_ca.text;
  server.threads = options.io_threads;
  server.stream_window_bytes = options.grpc_initial_window_size_bytes;
  server.connection_window_bytes = options.grpc_initial_conn_window_size_bytes;
  server.streams_max = options.grpc_max_concurrent_streams;
  server.bytes_in_flight_max = WithinBudget(options, 4, server.bytes_in_flight_max);
  // What would never fit is refused by its size, not to be tried again later.
  server.message_max_bytes = std::min<size_t>(options.grpc_max_recv_msg_size_bytes, server.bytes_in_flight_max / 4 * 3);
  server.keepalive_time = options.grpc_keepalive_time;
  server.keepalive_timeout = options.grpc_keepalive_timeout;
  return server;
}

engine::StoreOptions StoreOptionsOf(const ServeOptions& options) {
  engine::StoreOptions store;
  store.data_dir = options.data_path;
  store.owner_note = "longbow serve, node " + options.node_id;
  store.segment.rows_max = options.segment_rows_max;
  // As in HNSW the lowest level, here the only one, has twice m links; a block has room for 32.
  store.segment.graph.active.degree = std::clamp(2 * options.hnsw_m, 4u, 32u);
  store.segment.graph.active.ef_construction =
      std::max(options.hnsw_ef_construction, store.segment.graph.active.degree);
  store.segment.graph.memory = options.index_memory_lean ? engine::IndexMemory::kLean : engine::IndexMemory::kFast;
  store.segment.kernels = options.kernels;
  store.segment.numa = options.numa;
  store.search.ef = options.hnsw_ef_search;
  store.default_ttl_seconds = options.default_ttl.count();
  store.compact = options.compaction_enabled;
  store.compaction_period = options.compaction_interval;
  store.compaction.cpu_percent = options.compaction_cpu_percent;
  store.index_threads = options.index_threads;
  store.tail_rows_max = limits::kTailRowsMax;
  // A start replays the log into memory. Only whole files are cut, so two must fit into what may be kept.
  store.checkpoint_log_size_bytes = WithinBudget(options, 4, options.max_wal_size_bytes);
  store.log_file_size_bytes =
      std::min(limits::kLogFileSizeBytes, std::max<uint64_t>(1u << 20, store.checkpoint_log_size_bytes / 2));
  store.log_sync = options.wal_sync;
  store.log_sync_interval = options.wal_sync_interval;
  store.checkpoint_interval = options.snapshot_interval;
  store.memory.budget.size_bytes = options.max_memory_bytes;
  return store;
}

std::shared_ptr<access::Meter> MeterOf(const ServeOptions& options) {
  if (options.rate_limit_rps == 0 && options.max_calls == 0) {
    return nullptr;
  }
  auto meter = std::make_shared<access::Meter>("the node");
  meter->SetRates({.requests_per_second = options.rate_limit_rps}, options.rate_limit_burst);
  meter->SetCallsMax(options.max_calls);
  return meter;
}

// Searches are of segments anywhere; what they work with besides stays near the thread.
std::function<void(size_t)> PinTo(const NumaPlacer* numa) {
  if (numa == nullptr) {
    return nullptr;
  }
  return [numa](size_t number) { numa->PinThread(numa->PlaceOfThread(number)); };
}

}  // namespace

Node::Node(const ServeOptions& options, engine::StoreEnvironment environment)
    : options_(options),
      environment_(environment),
      request_metrics_(environment.metrics),
      keys_(environment.clock, !options.access_file.path.empty(), options.max_calls_per_key),
      search_pool_({.name = "search",
                    .threads = options.search_threads,
                    .queue_max = kPoolQueueMax,
                    .on_start = PinTo(options.numa)}),
      write_pool_({.name = "write", .threads = options.write_threads, .queue_max = kPoolQueueMax}) {
  keys_.Replace(options_.access);
}

Result<std::unique_ptr<Node>> Node::Start(const ServeOptions& options, engine::StoreEnvironment environment) {
  // Protobuf would write a line to standard error for each malformed message. Whoever sent it is told.
  google::protobuf::SetLogHandler(nullptr);
  std::unique_ptr<Node> node(new Node(options, environment));
  LB_TRY(node->StartMetricsPort());
  LB_TRY(node->OpenStore());
  LB_TRY(node->StartFlightPorts());
  node->WatchFiles();
  node->started_.store(true);
  return node;
}

Status Node::StartMetricsPort() {
  const auto started = [this]() -> Status {
    return started_.load() ? Status() : Unavailable("the data folder is being opened");
  };
  Operator operation;
  operation.started = started;
  operation.ready = [this, started]() -> Status {
    LB_TRY(started());
    return services_->Readiness();
  };
  operation.metrics = [this] {
    if (started_.load()) {
      store_->UpdateGauges();
    }
    return environment_.metrics.Render();
  };
  operation.keys = &keys_;
  net::ServerOptions server;
  server.listen = options_.metrics_addr;
  server.threads = 1;
  server.message_max_bytes = 64u << 10;
  server.header_timeout = std::chrono::seconds(10);
  server.idle_timeout = std::chrono::seconds(60);
  LB_ASSIGN(metrics_server_, net::Server::Start(server, [operation](std::shared_ptr<net::Call> call) {
              return MakeHttpHandler(operation, std::move(call));
            }));
  return {};
}

Status Node::OpenStore() {
  engine::StoreOptions store_options = StoreOptionsOf(options_);
  const auto receive_cache = wire::BlockCache::Make(WithinBudget(options_, 16, limits::kReceiveCacheMaxBytes));
  store_options.memory.outside_bytes = [receive_cache] { return receive_cache->kept_bytes(); };
  store_options.memory.release_outside = [receive_cache] { receive_cache->Trim(); };
  LB_ASSIGN(store_, engine::Store::Open(environment_, std::move(store_options)));
  quotas_ = std::make_unique<NamespaceQuotas>(
      [this](const std::string& name_space) {
        const access::NamespaceLimits most = keys_.LimitsOf(name_space);
        return NamespaceQuota{.datasets = most.datasets, .rows = most.rows, .bytes = most.bytes};
      },
      [this](const std::string& name_space) { return UsageOf(*store_, name_space); });
  LB_ASSIGN(snapshots_, engine::SnapshotJobs::Make(*store_, environment_, options_.snapshots));
  services_ = std::make_unique<SharedServices>(
      *store_, *snapshots_, search_pool_, write_pool_, request_metrics_, environment_.logger, draining_, watchers_,
      receive_cache, WithinBudget(options_, 16, limits::kStreamUnacknowledgedMaxBytes), keys_, *quotas_,
      MeterOf(options_), pacer_, options_.max_queue_age, options_.max_call_memory_bytes);
  return {};
}

Status Node::StartFlightPorts() {
  const net::HandlerFactory factory = [this](std::shared_ptr<net::Call> call) {
    return MakeGrpcHandler(*services_, std::move(call));
  };
  LB_ASSIGN(data_server_, net::Server::Start(FlightServerOptions(options_, options_.listen_addr), factory));
  LB_ASSIGN(meta_server_, net::Server::Start(FlightServerOptions(options_, options_.meta_addr), factory));
  return {};
}

void Node::WatchFiles() {
  constexpr std::chrono::milliseconds kPeriod{1'000};
  watch_ = std::make_unique<FileWatch>(environment_.fs, environment_.logger, kPeriod);
  if (!options_.access_file.path.empty()) {
    watch_->Add({options_.access_file.path}, {options_.access_file.text},
                [this](const std::vector<std::string>& contents) -> Status {
                  LB_ASSIGN(const access::AccessFile file,
                            access::ParseAccessFile(contents.front(), options_.access_file.path));
                  keys_.Replace(file);
                  return {};
                });
  }
  if (!options_.tls_cert.path.empty()) {
    std::vector<std::string> paths{options_.tls_cert.path, options_.tls_key.path};
    std::vector<std::string> contents{options_.tls_cert.text, options_.tls_key.text};
    if (!options_.tls_client_ca.path.empty()) {
      paths.push_back(options_.tls_client_ca.path);
      contents.push_back(options_.tls_client_ca.text);
    }
    watch_->Add(std::move(paths), std::move(contents),
                [this](const std::vector<std::string>& changed) { return ReplaceCertificates(changed); });
  }
  watch_->Start();
}

Status Node::ReplaceCertificates(const std::vector<std::string>& contents) {
  const std::string client_ca = contents.size() > 2 ? contents[2] : "";
  // An authority that is gone must not become "nobody is asked".
  if (contents.size() > 2 && client_ca.empty()) {
    return InvalidArgument(options_.tls_client_ca.path + " is empty");
  }
  LB_TRY(data_server_->ReplaceCertificates(contents[0], contents[1], client_ca));
  return meta_server_->ReplaceCertificates(contents[0], contents[1], client_ca);
}

void Node::Stop(std::chrono::milliseconds grace) {
  if (draining_.exchange(true)) {
    return;
  }
  if (watch_) {
    watch_->Stop();
  }
  pacer_.Stop();
  watchers_.Notify();
  {
    // Both ports drain at the same time.
    std::thread meta([this, grace] {
      if (meta_server_) {
        meta_server_->Stop(grace);
      }
    });
    if (data_server_) {
      data_server_->Stop(grace);
    }
    meta.join();
  }
  // No callback runs any more. What the pools still hold waits for the log at most, so the store goes last.
  search_pool_.Stop();
  write_pool_.Stop();
  if (snapshots_) {
    snapshots_->Stop();
  }
  if (store_) {
    store_->Stop();
  }
  engine::FinishPlaces();
  if (metrics_server_) {
    metrics_server_->Stop(kOperatorGrace);
  }
}

}  // namespace longbow::node
