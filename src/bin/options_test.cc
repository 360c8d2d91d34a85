#include "bin/options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <vector>

namespace longbow::bin {
namespace {

Result<node::ServeOptions> Serve(std::vector<std::string> arguments, Environment environment = {}) {
  LB_ASSIGN(const Config config, LoadConfig(arguments, environment, RealFileSystem()));
  return ToServeOptions(config, RealFileSystem());
}

std::string ErrorOf(std::vector<std::string> arguments) {
  const Result<node::ServeOptions> options = Serve(std::move(arguments));
  EXPECT_EQ(options.status().code(), StatusCode::kInvalidArgument);
  return std::string(options.status().message());
}

class Certificates : public testing::Test {
 protected:
  Certificates() : folder_(testing::TempDir() + "longbow_options_test_" + std::to_string(getpid())) {
    std::filesystem::create_directory(folder_);
    Write("cert.pem", "-----BEGIN CERTIFICATE-----\n");
    Write("key.pem", "-----BEGIN PRIVATE KEY-----\n");
    Write("other.pem", "hello\n");
  }
  ~Certificates() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& name, const char* text) { std::ofstream(folder_ + "/" + name) << text; }
  std::string Path(const std::string& name) { return folder_ + "/" + name; }
  const std::string folder_;
};

TEST(Options, DefaultsOfTheTableAreThoseOfTheStruct) {
  const Result<node::ServeOptions> options = Serve({});
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  const node::ServeOptions plain;
  EXPECT_EQ(options->listen_addr, plain.listen_addr);
  EXPECT_EQ(options->meta_addr, plain.meta_addr);
  EXPECT_EQ(options->metrics_addr, plain.metrics_addr);
  EXPECT_EQ(options->data_path, plain.data_path);
  EXPECT_EQ(options->tls_cert.text, "");
  EXPECT_EQ(options->grpc_max_recv_msg_size_bytes, plain.grpc_max_recv_msg_size_bytes);
  EXPECT_EQ(options->grpc_initial_window_size_bytes, plain.grpc_initial_window_size_bytes);
  EXPECT_EQ(options->grpc_initial_conn_window_size_bytes, plain.grpc_initial_conn_window_size_bytes);
  EXPECT_EQ(options->grpc_max_concurrent_streams, plain.grpc_max_concurrent_streams);
  EXPECT_EQ(options->grpc_keepalive_time, plain.grpc_keepalive_time);
  EXPECT_EQ(options->grpc_keepalive_timeout, plain.grpc_keepalive_timeout);
  EXPECT_EQ(options->rate_limit_rps, plain.rate_limit_rps);
  EXPECT_EQ(options->max_calls, plain.max_calls);
  EXPECT_EQ(options->max_calls_per_key, plain.max_calls_per_key);
  EXPECT_EQ(options->max_queue_age, plain.max_queue_age);
  EXPECT_EQ(options->max_call_memory_bytes, plain.max_call_memory_bytes);
  EXPECT_EQ(options->hnsw_m, plain.hnsw_m);
  EXPECT_EQ(options->hnsw_ef_construction, plain.hnsw_ef_construction);
  EXPECT_EQ(options->hnsw_ef_search, plain.hnsw_ef_search);
  EXPECT_EQ(options->index_memory_lean, plain.index_memory_lean);
  EXPECT_EQ(options->numa_auto, plain.numa_auto);
  EXPECT_EQ(options->segment_rows_max, plain.segment_rows_max);
  EXPECT_EQ(options->default_ttl, plain.default_ttl);
  EXPECT_EQ(options->wal_sync, plain.wal_sync);
  EXPECT_EQ(options->wal_sync_interval, plain.wal_sync_interval);
  EXPECT_EQ(options->max_wal_size_bytes, plain.max_wal_size_bytes);
  EXPECT_EQ(options->snapshot_interval, plain.snapshot_interval);
  EXPECT_EQ(options->drain_timeout, plain.drain_timeout);
  EXPECT_FALSE(options->node_id.empty());
  EXPECT_GE(options->search_threads, 1u);
  EXPECT_NE(options->kernels, nullptr);
}

TEST(Options, NamesOfTheContractReachTheStruct) {
  const Result<node::ServeOptions> options = Serve({"--drain-timeout=1500us"}, {{"LISTEN_ADDR", "127.0.0.1:1"},
                                                                                {"LONGBOW_DATA_PATH", "/x"},
                                                                                {"NODE_ID", "n1"},
                                                                                {"HNSW_M", "32"},
                                                                                {"GRPC_KEEPALIVE_TIME", "5m"},
                                                                                {"GRPC_MAX_RECV_MSG_SIZE", "64MiB"},
                                                                                {"MAX_WAL_SIZE", "1048576"},
                                                                                {"LONGBOW_INDEX_MEMORY", "lean"},
                                                                                {"LONGBOW_NUMA", "off"},
                                                                                {"LONGBOW_WAL_SYNC", "interval"},
                                                                                {"WAL_SYNC_INTERVAL", "20ms"},
                                                                                {"LONGBOW_SEARCH_THREADS", "3"}});
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  EXPECT_EQ(options->listen_addr, "127.0.0.1:1");
  EXPECT_EQ(options->data_path, "/x");
  EXPECT_EQ(options->node_id, "n1");
  EXPECT_EQ(options->hnsw_m, 32u);
  EXPECT_EQ(options->wal_sync, SyncPolicy::kInterval);
  EXPECT_EQ(options->wal_sync_interval, std::chrono::milliseconds(20));
  EXPECT_EQ(options->grpc_keepalive_time, std::chrono::minutes(5));
  EXPECT_EQ(options->grpc_max_recv_msg_size_bytes, 64u << 20);
  EXPECT_EQ(options->max_wal_size_bytes, 1'048'576u);
  EXPECT_EQ(options->search_threads, 3u);
  EXPECT_TRUE(options->index_memory_lean);
  EXPECT_FALSE(options->numa_auto);
  EXPECT_EQ(options->drain_timeout, std::chrono::milliseconds(2)) << "rounded up, never to nothing";
}

TEST(Options, WiderThanLoopbackHasToBeAskedForByName) {
  for (const char* name : {"listen", "meta", "metrics"}) {
    const std::string flag = "--" + std::string(name) + "-addr=0.0.0.0:1";
    const std::string error = ErrorOf({flag});
    EXPECT_EQ(error.find("flag --" + std::string(name) + "-addr: "), 0u) << error;
    EXPECT_NE(error.find("0.0.0.0:1"), std::string::npos) << error;
    EXPECT_NE(error.find("allow_remote=true"), std::string::npos) << error;
    EXPECT_TRUE(Serve({flag, "--allow-remote"}).ok());
  }
}

TEST_F(Certificates, ClientAuthenticationOpensTheFlightPortsOnly) {
  const std::vector<std::string> tls = {"--tls-cert=" + Path("cert.pem"), "--tls-key=" + Path("key.pem")};
  auto with = [&](std::vector<std::string> more) {
    more.insert(more.end(), tls.begin(), tls.end());
    return Serve(more);
  };
  const std::string client_ca = "--tls-client-ca=" + Path("cert.pem");
  EXPECT_FALSE(with({"--listen-addr=0.0.0.0:1"}).ok()) << "TLS alone asks nobody who they are";
  EXPECT_TRUE(with({"--listen-addr=0.0.0.0:1", client_ca}).ok());
  EXPECT_TRUE(with({"--meta-addr=[::]:1", client_ca}).ok());
  EXPECT_FALSE(with({"--metrics-addr=0.0.0.0:1", client_ca}).ok());
}

TEST_F(Certificates, AreReadAndNamedWhenTheyAreNotRight) {
  const std::string cert = "--tls-cert=" + Path("cert.pem"), key = "--tls-key=" + Path("key.pem");
  const Result<node::ServeOptions> options = Serve({cert, key});
  ASSERT_TRUE(options.ok()) << options.status().ToString();
  EXPECT_EQ(options->tls_cert.text, "-----BEGIN CERTIFICATE-----\n");
  EXPECT_EQ(options->tls_cert.path, Path("cert.pem"));
  EXPECT_EQ(ErrorOf({cert}), "flag --tls-cert: tls_cert needs tls_key, the file with its private key");
  EXPECT_EQ(ErrorOf({key}), "flag --tls-key: tls_key needs tls_cert, the file with the certificate");
  EXPECT_NE(ErrorOf({"--tls-client-ca=" + Path("cert.pem")}).find("needs tls_cert"), std::string::npos);
  EXPECT_NE(ErrorOf({cert, "--tls-key=" + Path("absent.pem")}).find("absent.pem"), std::string::npos);
  EXPECT_EQ(ErrorOf({"--tls-cert=" + Path("other.pem"), key}),
            "flag --tls-cert: tls_cert " + Path("other.pem") + " has no line '-----BEGIN CERTIFICATE-----'");
}

TEST(Options, ValuesThatDoNotFitTogetherAreRefused) {
  const std::string memory = ErrorOf({"--index-memory=tiny"});
  EXPECT_NE(memory.find("fast"), std::string::npos) << memory;
  EXPECT_NE(memory.find("lean"), std::string::npos) << memory;
  EXPECT_EQ(ErrorOf({"--hnsw-ef-construction=8", "--hnsw-m=16"}),
            "flag --hnsw-ef-construction: hnsw_ef_construction must be at least hnsw_m, got 8 with hnsw_m 16");
  EXPECT_EQ(ErrorOf({"--data-path="}), "flag --data-path: data_path must not be empty");
  EXPECT_EQ(
      ErrorOf({"--listen-addr=nowhere"}),
      "flag --listen-addr: listen_addr expected an IP address and a port such as 127.0.0.1:3000 or [::1]:3000, got "
      "'nowhere'");
}

TEST(Options, MemoryIsWhatWasGivenOrAShareOfWhatThereIs) {
  const Result<node::ServeOptions> given = Serve({}, {{"MAX_MEMORY", "128MiB"}});
  ASSERT_TRUE(given.ok()) << given.status().ToString();
  EXPECT_EQ(given->max_memory_bytes, 128u << 20);
  const Result<node::ServeOptions> share = Serve({});
  ASSERT_TRUE(share.ok());
  EXPECT_GT(share->memory_limit_bytes, 0u);
  EXPECT_EQ(share->max_memory_bytes, share->memory_limit_bytes / 100 * 80);
  for (const char* wrong : {"1", "31MiB"}) {
    const std::string error = ErrorOf({"--max-memory=" + std::string(wrong)});
    EXPECT_EQ(error.find("flag --max-memory: max_memory "), 0u) << error;
    EXPECT_NE(error.find("at least 32 MiB"), std::string::npos) << error;
  }
  for (const char* wrong : {"-1", "lots", "12 parsecs", "1e3"}) {
    EXPECT_NE(ErrorOf({"--max-memory=" + std::string(wrong)}).find("max_memory"), std::string::npos) << wrong;
  }
}

TEST(Options, OtherVersionsNamesAreWarningsAndNoneIsAlsoAnOption) {
  const Result<Config> config = LoadConfig({}, {{"GOGC", "1"}, {"LONGBOW_GOSSIP_ENABLED", "true"}}, RealFileSystem());
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(config->warnings().size(), 2u);
  for (const std::string_view name : NotHonoured()) {
    for (const Option& option : ServeTable()) {
      EXPECT_NE(option.name, name);
    }
  }
}

TEST(Options, LoggerFollowsTheTable) {
  const std::vector<std::string> arguments = {"--log-level=warn", "--log-format=console"};
  const Result<Config> config = LoadConfig(arguments, {}, RealFileSystem());
  ASSERT_TRUE(config.ok()) << config.status().ToString();
  EXPECT_EQ(ToLoggerOptions(*config).level, LogLevel::kWarn);
  EXPECT_EQ(ToLoggerOptions(*config).format, LogFormat::kConsole);
}

}  // namespace
}  // namespace longbow::bin
