// Everything `longbow serve` is told: bin/ fills it from the configuration, the node is built from it.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "access/access_file.h"
#include "base/limits.h"
#include "base/sync_policy.h"
#include "engine/snapshot_places.h"

namespace longbow {
class NumaPlacer;
}  // namespace longbow

namespace longbow::kernels {
struct Kernels;
}  // namespace longbow::kernels

namespace longbow::node {

// Text and the file it came from, which messages name; both empty = not given.
struct TextFile {
  std::string path;
  std::string text;
};

// The defaults here are those of the configuration table (bin/options.cc); a test compares the two.
struct ServeOptions {
  // "IP:PORT", "[IPv6]:PORT"; port 0 lets the system choose. Data and meta port serve everything, metrics plain HTTP.
  std::string listen_addr = "127.0.0.1:3000";
  std::string meta_addr = "127.0.0.1:3001";
  std::string metrics_addr = "127.0.0.1:9090";
  std::string node_id;               // never empty: the host's name by default
  std::string data_path = "./data";  // created if it is not there

  // TLS of the data and meta port; no certificate = plaintext. client_ca: clients must show a certificate it signed.
  // Read again when the files change.
  TextFile tls_cert, tls_key, tls_client_ca;

  // Keys and limits of namespaces, as the file held them at the start; read again when it changes. No path: no key is
  // asked for.
  TextFile access_file;
  access::AccessFile access;

  uint64_t grpc_max_recv_msg_size_bytes = limits::kMessageSizeMaxBytes;
  uint32_t grpc_initial_window_size_bytes = 8u << 20;        // of a stream
  uint32_t grpc_initial_conn_window_size_bytes = 16u << 20;  // what one peer may make us hold
  uint32_t grpc_max_concurrent_streams = 250;
  std::chrono::milliseconds grpc_keepalive_time{7'200'000};
  std::chrono::milliseconds grpc_keepalive_timeout{20'000};

  // Ceilings; 0: none.
  double rate_limit_rps = 0;                        // calls a second, of all clients together
  double rate_limit_burst = 0;                      // at once; 0: those of a second
  uint32_t max_calls = 10'000;                      // open at once
  uint32_t max_calls_per_key = 0;                   // likewise, of one key
  std::chrono::milliseconds max_queue_age{10'000};  // that a client's calls have waited when it makes another
  uint64_t max_call_memory_bytes = 1u << 30;        // of the answer to one search

  uint32_t hnsw_m = 16;
  uint32_t hnsw_ef_construction = 200;
  uint32_t hnsw_ef_search = 128;
  bool index_memory_lean = false;  // sealed graphs are made for little memory, not for speed
  uint32_t segment_rows_max = limits::kSegmentRowsMax;
  uint64_t max_memory_bytes = 0;    // 0: no bound; the configuration makes it a share of what there is
  uint64_t memory_limit_bytes = 0;  // of the machine or its control group, for messages; 0: not known
  std::string memory_limit_source;

  bool compaction_enabled = true;
  std::chrono::milliseconds compaction_interval{2'000};  // between looks for something to compact
  uint32_t compaction_cpu_percent = 100;                 // of one core at most

  std::chrono::seconds default_ttl{0};  // of datasets whose first put says nothing about expiry; 0: rows stay

  // Threads, all at least 1: 0 in the configuration has become the number of cores.
  uint32_t index_threads = 1;
  uint32_t search_threads = 1;
  uint32_t write_threads = 16;  // more than cores: they wait for the disk
  uint32_t io_threads = 2;
  bool numa_auto = true;       // place threads and segments where there are several NUMA nodes
  NumaPlacer* numa = nullptr;  // made of that at the start; null: nothing is placed

  SyncPolicy wal_sync = SyncPolicy::kFsync;                // when a put is acknowledged
  std::chrono::milliseconds wal_sync_interval{100};        // of kInterval
  uint64_t max_wal_size_bytes = 512u << 20;                // a checkpoint is due when the log is larger
  std::chrono::milliseconds snapshot_interval{3'600'000};  // and, if something changed, this often; 0 = never
  engine::SnapshotPlaces snapshots;                        // where they are kept; none by default
  std::chrono::milliseconds drain_timeout{10'000};         // what calls in flight have to end after SIGTERM

  const kernels::Kernels* kernels = nullptr;  // never null: chosen once at start, lives as long as the process
};

}  // namespace longbow::node
