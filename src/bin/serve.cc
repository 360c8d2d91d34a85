#include "bin/serve.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "base/kill_point.h"
#include "base/logging.h"
#include "base/memory_limit.h"
#include "base/metrics.h"
#include "base/numa.h"
#include "bin/options.h"
#include "bin/stop_signals.h"
#include "bin/version.h"
#include "kernels/dispatch.h"
#include "node/node.h"

namespace longbow::bin {
namespace {

constexpr int kExitOk = 0;
constexpr int kExitFailed = 1;

int Fail(Logger& logger, const Status& status) {
  logger.Error("cannot serve", {{"error", status.ToString()}});
  return kExitFailed;
}

// "127.0.0.1:0" with the port the system chose.
std::string WithPort(const std::string& address, uint16_t port) {
  return address.substr(0, address.rfind(':') + 1) + std::to_string(port);
}

// Messages come and go by the megabyte. glibc would map and unmap each, and touching fresh pages costs more than the
// copy into them (three times the CPU of a put, measured); so freed memory of that size is kept for the next, as far as
// the budget goes. So it is with arenas: one for each of a few threads keeps them apart, and 25 MiB of freed memory.
void SetUpAllocators(uint64_t max_memory_bytes) {
  constexpr uint64_t kMapThresholdBytes = 256 << 20;
  constexpr uint64_t kBudgetShare = 32;
  constexpr uint64_t kSmallBudgetBytes = 512 << 20;
  const uint64_t budget = max_memory_bytes > 0 ? max_memory_bytes : UINT64_MAX;
  const auto threshold = static_cast<int>(std::clamp<uint64_t>(budget / kBudgetShare, 1 << 20, kMapThresholdBytes));
  mallopt(M_MMAP_THRESHOLD, threshold);
  mallopt(M_TRIM_THRESHOLD, 2 * threshold);
  if (budget < kSmallBudgetBytes) {
    mallopt(M_ARENA_MAX, 2);
  }
  if (threshold < static_cast<int>(kMapThresholdBytes)) {
    // Arrow's own allocator is faster and keeps tens of megabytes that were freed, in huge pages. It looks here once,
    // before its first use; what the operator has set stays.
    setenv("ARROW_DEFAULT_MEMORY_POOL", "system", 0);
  }
}

void WarnOfMemory(Logger& logger, const node::ServeOptions& options) {
  if (options.memory_limit_bytes > 0 && options.max_memory_bytes > options.memory_limit_bytes) {
    logger.Warn("max_memory is more than there is: the kernel may end the process before it is used up",
                {{"max_memory", SizeText(options.max_memory_bytes)},
                 {"there_is", SizeText(options.memory_limit_bytes)},
                 {"limit", options.memory_limit_source}});
  }
}

void WarnOfUnsyncedWrites(Logger& logger, const node::ServeOptions& options) {
  if (options.wal_sync == SyncPolicy::kInterval) {
    logger.Warn("wal_sync=interval: a power cut may take writes that were acknowledged",
                {{"younger_than_ms", options.wal_sync_interval.count()}});
  } else if (options.wal_sync == SyncPolicy::kNone) {
    logger.Warn("wal_sync=none: a power cut may take writes that were acknowledged since the last checkpoint");
  }
}

// Keys and data can be read by whoever sits between.
void WarnOfAccess(Logger& logger, const node::ServeOptions& options) {
  if (options.access_file.path.empty()) {
    return;
  }
  if (options.access.keys.empty()) {
    logger.Warn("access_file holds no key: no call can succeed until `longbow keys create` has made one",
                {{"access_file", options.access_file.path}});
  }
  const bool loopback = options.listen_addr.starts_with("127.") && options.meta_addr.starts_with("127.");
  if (!loopback && options.tls_cert.path.empty()) {
    logger.Warn("keys travel in the clear: give tls_cert and tls_key");
  }
}

struct Numa {
  std::string text;                    // for the log
  std::unique_ptr<NumaPlacer> placer;  // null: nothing is placed
};

// Where the system refuses, and where it tells nonsense, the node runs as it would with numa=off, and says so.
Numa SetUpNuma(Logger& logger, const node::ServeOptions& options) {
  if (!options.numa_auto) {
    return {"off", nullptr};
  }
  const Result<std::vector<NumaNode>> nodes = ReadNumaNodes();
  if (!nodes.ok()) {
    logger.Warn("NUMA nodes cannot be read: threads and memory are not placed",
                {{"reason", std::string(nodes.status().message())}});
    return {"not known", nullptr};
  }
  Numa numa{NumaText(*nodes), nullptr};
  if (nodes->size() < 2) {
    return numa;
  }
  numa.placer = std::make_unique<NumaPlacer>(*nodes, RealNumaCalls());
  if (const Status tried = numa.placer->Try(); !tried.ok()) {
    logger.Warn("there are several NUMA nodes, but the system lets nothing be placed; numa=off silences this",
                {{"nodes", numa.text}, {"reason", std::string(tried.message())}});
    numa.placer.reset();
  }
  return numa;
}

// For crash tests: LONGBOW_KILL_AT=name:nth ends this process at a place named with LB_KILL_POINT.
Status ArmKillPointFromEnvironment() {
  const char* text = std::getenv("LONGBOW_KILL_AT");
  return text == nullptr ? Status() : ArmKillPoint(text);
}

}  // namespace

int Serve(const Config& config, node::ServeOptions options) {
  SetUpAllocators(options.max_memory_bytes);
  Logger logger(ToLoggerOptions(config));
  if (const Status armed = ArmKillPointFromEnvironment(); !armed.ok()) {
    return Fail(logger, armed);
  }
  Result<StopSignals> signals = StopSignals::Block();
  if (!signals.ok()) {
    return Fail(logger, signals.status());
  }
  std::promise<int> stop;
  signals->Watch([&](int signal) { stop.set_value(signal); });

  const Numa numa = SetUpNuma(logger, options);
  options.numa = numa.placer.get();
  logger.Info("starting", {{"version", Version()},
                           {"node_id", options.node_id},
                           {"data_path", options.data_path},
                           {"isa", kernels::IsaName(options.kernels->isa)},
                           {"wal_sync", SyncPolicyName(options.wal_sync)},
                           {"max_memory_bytes", options.max_memory_bytes},
                           {"numa", numa.text},
                           {"threads_and_segments_are_placed", numa.placer != nullptr},
                           {"pid", getpid()}});
  for (const std::string& warning : config.warnings()) {
    logger.Warn(warning);
  }
  WarnOfUnsyncedWrites(logger, options);
  WarnOfMemory(logger, options);
  WarnOfAccess(logger, options);
  Metrics metrics;
  Result<std::unique_ptr<node::Node>> started =
      node::Node::Start(options, {.fs = RealFileSystem(), .clock = RealClock(), .logger = logger, .metrics = metrics});
  if (!started.ok()) {
    return Fail(logger, started.status());
  }
  node::Node& node = **started;
  std::printf("longbow ready data=%s meta=%s metrics=%s pid=%d\n",
              WithPort(options.listen_addr, node.data_port()).c_str(),
              WithPort(options.meta_addr, node.meta_port()).c_str(),
              WithPort(options.metrics_addr, node.metrics_port()).c_str(), getpid());
  std::fflush(stdout);

  const int signal = stop.get_future().get();
  logger.Info("stopping", {{"signal", signal}, {"drain_timeout_ms", options.drain_timeout.count()}});
  node.Stop(options.drain_timeout);
  logger.Info("stopped");
  return kExitOk;
}

}  // namespace longbow::bin
