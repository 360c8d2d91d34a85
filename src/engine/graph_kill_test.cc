// The process dies at each step of writing a graph's file, which happens behind the writers: nothing of the rows is
// lost, and the next life writes the graph.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "base/kill_point.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 8;
constexpr int64_t kRows = 900;  // three segments

class OpenStore {
 public:
  explicit OpenStore(const std::string& folder) {
    const StoreOptions options = TestStoreOptions(folder, 300);
    auto store = Store::Open({RealFileSystem(), RealClock(), logger_, metrics_}, options);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    if (store.ok()) {
      store_ = std::move(*store);
    }
  }

  void PutAll() {
    Random random(7);
    std::vector<TestRow> rows;
    for (int64_t id = 0; id < kRows; ++id) {
      rows.push_back({id, RandomVector(random, kDimension), "name"});
    }
    std::promise<Status> answer;
    store_->Put("a", WithEncoding(TestBatch(TestSchema(kDimension), rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    EXPECT_TRUE(answer.get_future().get().ok());
  }
  // Until `done`, or for ten seconds.
  void WriteCheckpointsUntil(const std::function<bool()>& done) {
    for (int i = 0; i < 500 && !done(); ++i) {
      (void)store_->Checkpoint();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  }
  uint64_t live_rows() { return (*store_->Find("a"))->shard.Pin()->live_rows; }

 private:
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
};

bool HasGraph(const std::string& folder) {
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    if (entry.path().extension() == ".graph") {
      return true;
    }
  }
  return false;
}

void DieAt(const std::string& point, const std::string& folder) {
  (void)ArmKillPoint(point);
  OpenStore store(folder);
  store.PutAll();
  store.WriteCheckpointsUntil([] { return false; });
  _exit(0);
}

// At the graph of each segment.
TEST(GraphKillDeathTest, AtEveryStep) {
  if (!kForksMayStartThreads) {
    GTEST_SKIP() << "not under ThreadSanitizer";
  }
  for (const char* point : {"graph.created", "graph.written", "graph.synced", "graph.named"}) {
    for (int nth = 1; nth <= 3; ++nth) {
      SCOPED_TRACE(std::string(point) + ":" + std::to_string(nth));
      const std::string folder = testing::TempDir() + "longbow_" + point + std::to_string(getpid());
      std::filesystem::remove_all(folder);
      EXPECT_EXIT(DieAt(std::string(point) + ":" + std::to_string(nth), folder), testing::KilledBySignal(SIGKILL), "");
      {
        OpenStore store(folder);
        EXPECT_EQ(store.live_rows(), static_cast<uint64_t>(kRows));
        store.WriteCheckpointsUntil([&] { return HasGraph(folder); });
        EXPECT_TRUE(HasGraph(folder));
      }
      EXPECT_EQ(OpenStore(folder).live_rows(), static_cast<uint64_t>(kRows));
      std::filesystem::remove_all(folder);
    }
  }
}

}  // namespace
}  // namespace longbow::engine
