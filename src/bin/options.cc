#include "bin/options.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <thread>

#include "base/limits.h"
#include "base/memory_limit.h"
#include "bin/listen_address.h"
#include "cli/s3_options.h"
#include "kernels/dispatch.h"

namespace longbow::bin {
namespace {

using enum OptionType;

constexpr double kWindowMin = 65'535, kWindowMax = 2'147'483'647;  // HTTP/2's default and its maximum
constexpr double kThreadsMax = 1024;
constexpr double kSizeMax = 1ull << 50;

constexpr std::array kTable = {
    Option{.name = "listen_addr",
           .default_text = "127.0.0.1:3000",
           .help = "Data port, IP:PORT; port 0 lets the system choose."},
    Option{
        .name = "meta_addr", .default_text = "127.0.0.1:3001", .help = "Meta port; serves the same as the data port."},
    Option{.name = "metrics_addr", .default_text = "127.0.0.1:9090", .help = "HTTP port of metrics and health."},
    Option{.name = "allow_remote",
           .type = kBool,
           .default_text = "false",
           .help = "Let a port be reached from other machines without TLS and client certificates or keys."},
    Option{.name = "node_id", .default_text = "", .help = "Name of this node; empty = the host's name."},
    Option{.name = "data_path", .default_text = "./data", .help = "Data folder; created if it is not there."},
    Option{.name = "log_level",
           .default_text = "info",
           .help = "Least severe level that is logged: debug, info, warn, error.",
           .choices = "debug info warn error"},
    Option{.name = "log_format",
           .default_text = "json",
           .help = "json: one object a line; console: for people.",
           .choices = "json console"},
    Option{.name = "tls_cert",
           .default_text = "",
           .help = "PEM file with the server's certificate chain; empty = no TLS."},
    Option{.name = "tls_key", .default_text = "", .help = "PEM file with the certificate's private key."},
    Option{.name = "tls_client_ca",
           .default_text = "",
           .help = "PEM file of the authority whose certificates clients must show."},
    Option{.name = "access_file",
           .default_text = "",
           .help =
               "File of keys and of limits of namespaces, which `longbow keys` writes: every call needs a key then. "
               "Empty = no key is asked for."},
    Option{.name = "grpc_max_recv_msg_size",
           .type = kSize,
           .default_text = "536870912",
           .help = "Largest message taken.",
           .min = 1024,
           .max = 1ull << 31},
    Option{.name = "grpc_initial_window_size",
           .type = kSize,
           .default_text = "8MiB",
           .help = "Bytes a client may send on one stream before they are read.",
           .min = kWindowMin,
           .max = kWindowMax},
    Option{.name = "grpc_initial_conn_window_size",
           .type = kSize,
           .default_text = "16MiB",
           .help = "The same for a whole connection.",
           .min = kWindowMin,
           .max = kWindowMax},
    Option{.name = "grpc_max_concurrent_streams",
           .type = kInt,
           .default_text = "250",
           .help = "Calls a connection may have open.",
           .min = 1,
           .max = 1'000'000},
    Option{.name = "grpc_keepalive_time",
           .type = kDuration,
           .default_text = "2h",
           .help = "Silence after which a connection is pinged.",
           .min = 1,
           .max = 31'536'000},
    Option{.name = "grpc_keepalive_timeout",
           .type = kDuration,
           .default_text = "20s",
           .help = "How long the answer to a ping may take.",
           .min = 0.001,
           .max = 31'536'000},
    Option{.name = "rate_limit_rps",
           .type = kFloat,
           .default_text = "0",
           .help = "Calls, and messages of streams, a second, of all clients together; 0 = any. Keys and namespaces "
                   "have theirs in access_file.",
           .min = 0,
           .max = 1e9},
    Option{.name = "rate_limit_burst",
           .type = kFloat,
           .default_text = "0",
           .help = "How many of them may come at once; 0 = those of a second.",
           .min = 0,
           .max = 1e9},
    Option{.name = "max_calls",
           .type = kInt,
           .default_text = "10000",
           .help = "Calls the node has open at once; more are refused; 0 = any number.",
           .min = 0,
           .max = 1'000'000},
    Option{.name = "max_calls_per_key",
           .type = kInt,
           .default_text = "0",
           .help = "The same for each key; 0 = any number.",
           .min = 0,
           .max = 1'000'000},
    Option{.name = "max_queue_age",
           .type = kDuration,
           .default_text = "10s",
           .help = "A client whose calls wait for longer gets no further ones in; 0 = any time.",
           .min = 0,
           .max = 86'400},
    Option{.name = "max_call_memory",
           .type = kSize,
           .default_text = "1GiB",
           .help = "Most that the answer to one search may take; 0 = any size.",
           .min = 0,
           .max = kSizeMax},
    Option{.name = "hnsw_m",
           .type = kInt,
           .default_text = "16",
           .help = "Half the links of a row in the graph; 16 is the most that helps.",
           .min = 2,
           .max = 128},
    Option{.name = "hnsw_ef_construction",
           .type = kInt,
           .default_text = "200",
           .help = "Rows considered as neighbours of a new one; at least hnsw_m.",
           .min = 2,
           .max = limits::kEfMax},
    Option{.name = "hnsw_ef_search",
           .type = kInt,
           .default_text = "128",
           .help = "Rows a search considers when the request does not say: higher finds more and takes longer.",
           .min = 1,
           .max = limits::kEfMax},
    Option{
        .name = "index_memory",
        .default_text = "fast",
        .help = "Graphs of segments at rest: fast, or lean: a fourth of the memory, up to 1.3 times the search time.",
        .choices = "fast lean"},
    Option{.name = "max_memory",
           .type = kSize,
           .default_text = "0",
           .help =
               "Memory that the node may hold, without what it only maps from files; puts beyond it wait and are then "
               "refused. 0: 80 % of the machine's memory or of its control group's limit, whichever is lower.",
           .min = 0,
           .max = kSizeMax},
    Option{.name = "segment_rows_max",
           .type = kInt,
           .default_text = "1048576",
           .help = "Rows of one segment; the next put opens a new one.",
           .min = 1,
           .max = limits::kSegmentRowsMax},
    Option{.name = "index_threads",
           .type = kInt,
           .default_text = "0",
           .help = "Threads that link rows into graphs; 0 = cores.",
           .min = 0,
           .max = kThreadsMax},
    Option{.name = "search_threads",
           .type = kInt,
           .default_text = "0",
           .help = "Threads that search and scan; 0 = cores.",
           .min = 0,
           .max = kThreadsMax},
    Option{.name = "write_threads",
           .type = kInt,
           .default_text = "16",
           .help = "Threads that decode and check written rows and wait for the log; 0 = cores.",
           .min = 0,
           .max = kThreadsMax},
    Option{.name = "io_threads",
           .type = kInt,
           .default_text = "0",
           .help = "Threads that serve connections, for each port; 0 = cores.",
           .min = 0,
           .max = kThreadsMax},
    Option{.name = "numa",
           .default_text = "auto",
           .help = "auto: on machines with several NUMA nodes search and index threads stay on the CPUs of one, and a "
                   "segment's vectors and graphs in the memory of one; off: the system decides.",
           .choices = "auto off"},
    Option{.name = "wal_sync",
           .default_text = "fsync",
           .help = "When a write is acknowledged: fsync, on the disk; interval, written, on the disk wal_sync_interval "
                   "later, so a power cut may take that long, kill -9 nothing; none, when the system likes.",
           .choices = "fsync interval none"},
    Option{.name = "wal_sync_interval",
           .type = kDuration,
           .default_text = "100ms",
           .help = "With wal_sync=interval: the longest that an acknowledged write waits for its fdatasync.",
           .min = 0.001,
           .max = 60},
    Option{.name = "max_wal_size",
           .type = kSize,
           .default_text = "512MiB",
           .help = "Size of the log above which a checkpoint is written and the log cut.",
           .min = 1'048'576,
           .max = kSizeMax},
    Option{.name = "compaction_enabled",
           .type = kBool,
           .default_text = "true",
           .help = "Whether segments are written again without their dead rows, and small ones joined."},
    Option{.name = "compaction_interval",
           .type = kDuration,
           .default_text = "2s",
           .help = "How often to look for such segments.",
           .min = 0.1,
           .max = 86'400},
    Option{.name = "compaction_cpu_percent",
           .type = kInt,
           .default_text = "100",
           .help = "How much of one core that may take; it also has a low priority.",
           .min = 1,
           .max = 100},
    Option{.name = "default_ttl",
           .type = kDuration,
           .default_text = "0s",
           .help = "How long rows live in datasets whose first put does not say; 0 = for ever.",
           .min = 0,
           .max = static_cast<double>(limits::kTtlMaxSeconds)},
    Option{.name = "snapshot_interval",
           .type = kDuration,
           .default_text = "1h",
           .help = "A checkpoint this often if anything changed; 0 = only by size.",
           .min = 0,
           .max = 31'536'000},
    Option{.name = "snapshot_path",
           .default_text = "",
           .help = "Folder for the action CreateSnapshot; empty = no snapshots in a folder."},
    Option{.name = "s3_enabled",
           .type = kBool,
           .default_text = "true",
           .help = "Whether snapshots go to s3_bucket, if there is one."},
    Option{.name = "s3_bucket",
           .default_text = "",
           .help = "Bucket for the action CreateSnapshot, which must exist; empty = no snapshots in S3."},
    Option{.name = "s3_prefix", .default_text = "", .help = "What names in the bucket begin with."},
    cli::kS3Endpoint,
    cli::kS3Region,
    cli::kS3UsePathStyle,
    cli::kAwsAccessKeyId,
    cli::kAwsSecretAccessKey,
    cli::kAwsSessionToken,
    Option{.name = "drain_timeout",
           .type = kDuration,
           .default_text = "10s",
           .help = "How long calls in flight may take to end after SIGTERM.",
           .min = 0,
           .max = 86'400},
};

std::string HostName() {
  std::array<char, 256> name{};
  return gethostname(name.data(), name.size() - 1) == 0 && name[0] != '\0' ? std::string(name.data()) : "longbow";
}

uint32_t Threads(const Config& config, std::string_view name) {
  const int64_t threads = config.Int(name);
  return threads > 0 ? static_cast<uint32_t>(threads) : std::max(1u, std::thread::hardware_concurrency());
}

std::chrono::milliseconds Milliseconds(const Config& config, std::string_view name) {
  return std::chrono::ceil<std::chrono::milliseconds>(config.Duration(name));
}

// "flag --tls-cert: tls_cert " in front of what is wrong.
Status Wrong(const Config& config, std::string_view name, std::string_view message) {
  return InvalidArgument(config.Source(name) + ": " + std::string(name) + " " + std::string(message));
}

// Address of one port; wider than loopback only when `may_be_remote`.
Result<std::string> Address(const Config& config, std::string_view name, bool may_be_remote) {
  const Result<ListenAddress> address = ParseListenAddress(config.String(name));
  if (!address.ok()) {
    return Wrong(config, name, address.status().message());
  }
  if (!address->loopback && !may_be_remote) {
    return Wrong(config, name,
                 address->text +
                     " can be reached from other machines, and nothing would ask who calls: give tls_client_ca "
                     "or access_file (with tls_cert and tls_key), or say allow_remote=true");
  }
  return address->text;
}

Result<node::TextFile> ReadPem(const Config& config, std::string_view name, std::string_view marker, FileSystem& fs) {
  const std::string& path = config.String(name);
  if (path.empty()) {
    return node::TextFile{};
  }
  Result<std::string> text = ReadWholeFile(fs, path);
  if (!text.ok()) {
    return Wrong(config, name, "cannot be read: " + std::string(text.status().message()));
  }
  if (text->find(marker) == std::string::npos) {
    return Wrong(config, name, path + " has no line '" + std::string(marker) + "'");
  }
  return node::TextFile{path, *std::move(text)};
}

Status FillTls(const Config& config, FileSystem& fs, node::ServeOptions& options) {
  const auto given = [&](std::string_view name) { return !config.String(name).empty(); };
  if (given("tls_cert") && !given("tls_key")) {
    return Wrong(config, "tls_cert", "needs tls_key, the file with its private key");
  }
  if (given("tls_key") && !given("tls_cert")) {
    return Wrong(config, "tls_key", "needs tls_cert, the file with the certificate");
  }
  if (given("tls_client_ca") && !given("tls_cert")) {
    return Wrong(config, "tls_client_ca", "needs tls_cert and tls_key: clients can only be asked over TLS");
  }
  LB_ASSIGN(options.tls_cert, ReadPem(config, "tls_cert", "-----BEGIN CERTIFICATE-----", fs));
  LB_ASSIGN(options.tls_key, ReadPem(config, "tls_key", "PRIVATE KEY-----", fs));
  LB_ASSIGN(options.tls_client_ca, ReadPem(config, "tls_client_ca", "-----BEGIN CERTIFICATE-----", fs));
  return {};
}

Status FillAccess(const Config& config, FileSystem& fs, node::ServeOptions& options) {
  const std::string& path = config.String("access_file");
  if (path.empty()) {
    return {};
  }
  Result<std::string> text = ReadWholeFile(fs, path);
  if (!text.ok()) {
    return Wrong(config, "access_file", "cannot be read: " + std::string(text.status().message()));
  }
  Result<access::AccessFile> access = access::ParseAccessFile(*text, path);
  if (!access.ok()) {
    return Wrong(config, "access_file", access.status().message());
  }
  options.access_file = {path, *std::move(text)};
  options.access = *std::move(access);
  return {};
}

void FillTransport(const Config& config, node::ServeOptions& options) {
  options.grpc_max_recv_msg_size_bytes = config.Size("grpc_max_recv_msg_size");
  options.grpc_initial_window_size_bytes = static_cast<uint32_t>(config.Size("grpc_initial_window_size"));
  options.grpc_initial_conn_window_size_bytes = static_cast<uint32_t>(config.Size("grpc_initial_conn_window_size"));
  options.grpc_max_concurrent_streams = static_cast<uint32_t>(config.Int("grpc_max_concurrent_streams"));
  options.grpc_keepalive_time = Milliseconds(config, "grpc_keepalive_time");
  options.grpc_keepalive_timeout = Milliseconds(config, "grpc_keepalive_timeout");
  options.drain_timeout = Milliseconds(config, "drain_timeout");
}

// A share of what there is, where nobody says how much.
Status FillMemory(const Config& config, node::ServeOptions& options) {
  constexpr uint64_t kSharePercent = 80;
  const MemoryLimit limit = ReadMemoryLimit();
  const uint64_t given = config.Size("max_memory");
  if (given > 0 && given < limits::kMemoryMinBytes) {
    return Wrong(config, "max_memory",
                 std::to_string(given) + " (" + SizeText(given) +
                     ") is too little for a node to start: give at least " + SizeText(limits::kMemoryMinBytes) +
                     ", or 0 for a share of what there is");
  }
  options.max_memory_bytes = given > 0 ? given
                             : limit.size_bytes == 0
                                 ? 0
                                 : std::max<uint64_t>(limits::kMemoryMinBytes, limit.size_bytes / 100 * kSharePercent);
  options.memory_limit_bytes = limit.size_bytes;
  options.memory_limit_source = limit.source;
  return {};
}

void FillLimits(const Config& config, node::ServeOptions& options) {
  options.rate_limit_rps = config.Float("rate_limit_rps");
  options.rate_limit_burst = config.Float("rate_limit_burst");
  options.max_calls = static_cast<uint32_t>(config.Int("max_calls"));
  options.max_calls_per_key = static_cast<uint32_t>(config.Int("max_calls_per_key"));
  options.max_queue_age = Milliseconds(config, "max_queue_age");
  options.max_call_memory_bytes = config.Size("max_call_memory");
}

Status FillEngine(const Config& config, node::ServeOptions& options) {
  options.hnsw_m = static_cast<uint32_t>(config.Int("hnsw_m"));
  options.hnsw_ef_construction = static_cast<uint32_t>(config.Int("hnsw_ef_construction"));
  options.hnsw_ef_search = static_cast<uint32_t>(config.Int("hnsw_ef_search"));
  if (options.hnsw_ef_construction < options.hnsw_m) {
    return Wrong(config, "hnsw_ef_construction",
                 "must be at least hnsw_m, got " + std::to_string(options.hnsw_ef_construction) + " with hnsw_m " +
                     std::to_string(options.hnsw_m));
  }
  options.index_memory_lean = config.String("index_memory") == "lean";
  options.segment_rows_max = static_cast<uint32_t>(config.Int("segment_rows_max"));
  options.compaction_enabled = config.Bool("compaction_enabled");
  options.compaction_interval = Milliseconds(config, "compaction_interval");
  options.compaction_cpu_percent = static_cast<uint32_t>(config.Int("compaction_cpu_percent"));
  options.default_ttl = std::chrono::ceil<std::chrono::seconds>(config.Duration("default_ttl"));
  LB_TRY(FillMemory(config, options));
  options.index_threads = Threads(config, "index_threads");
  options.search_threads = Threads(config, "search_threads");
  options.write_threads = Threads(config, "write_threads");
  options.io_threads = Threads(config, "io_threads");
  options.numa_auto = config.String("numa") == "auto";
  const std::string& wal_sync = config.String("wal_sync");  // the table's choices let nothing else through
  options.wal_sync = wal_sync == "none"       ? SyncPolicy::kNone
                     : wal_sync == "interval" ? SyncPolicy::kInterval
                                              : SyncPolicy::kFsync;
  options.wal_sync_interval = Milliseconds(config, "wal_sync_interval");
  options.max_wal_size_bytes = config.Size("max_wal_size");
  options.snapshot_interval = Milliseconds(config, "snapshot_interval");
  return {};
}

void FillSnapshots(const Config& config, node::ServeOptions& options) {
  options.snapshots.folder = config.String("snapshot_path");
  if (config.Bool("s3_enabled") && !config.String("s3_bucket").empty()) {
    options.snapshots.s3 = cli::ToS3Settings(config);
    options.snapshots.s3.bucket = config.String("s3_bucket");
    std::string prefix = config.String("s3_prefix");
    prefix.erase(0, prefix.find_first_not_of('/'));
    prefix.erase(prefix.find_last_not_of('/') + 1);
    options.snapshots.s3.prefix = std::move(prefix);
  }
}

}  // namespace

std::span<const Option> ServeTable() { return kTable; }

Result<Config> LoadConfig(std::span<const std::string> arguments, const Environment& environment, FileSystem& fs) {
  return Config::Load(kTable, NotHonoured(), arguments, environment, fs);
}

Result<node::ServeOptions> ToServeOptions(const Config& config, FileSystem& fs) {
  node::ServeOptions options;
  const bool allow_remote = config.Bool("allow_remote");
  // A key that travels in the clear is no secret: only behind TLS does it open a port.
  const bool clients_are_asked = !config.String("tls_client_ca").empty() ||
                                 (!config.String("access_file").empty() && !config.String("tls_cert").empty());
  LB_ASSIGN(options.listen_addr, Address(config, "listen_addr", allow_remote || clients_are_asked));
  LB_ASSIGN(options.meta_addr, Address(config, "meta_addr", allow_remote || clients_are_asked));
  LB_ASSIGN(options.metrics_addr, Address(config, "metrics_addr", allow_remote));  // plain HTTP: never asks
  LB_TRY(FillTls(config, fs, options));
  LB_TRY(FillAccess(config, fs, options));
  FillTransport(config, options);
  FillLimits(config, options);
  LB_TRY(FillEngine(config, options));
  FillSnapshots(config, options);
  options.node_id = config.String("node_id").empty() ? HostName() : config.String("node_id");
  options.data_path = config.String("data_path");
  if (options.data_path.empty()) {
    return Wrong(config, "data_path", "must not be empty");
  }
  LB_ASSIGN(options.kernels, kernels::KernelsFromEnvironment());
  return options;
}

LoggerOptions ToLoggerOptions(const Config& config) {
  // The table's choices let nothing else through.
  return {.level = ParseLogLevel(config.String("log_level")).value(),
          .format = ParseLogFormat(config.String("log_format")).value()};
}

}  // namespace longbow::bin
