// Index threads and segments on a machine of two nodes, which is made up: what is asked of the kernel is recorded.
#include <gtest/gtest.h>

#include <chrono>
#include <future>
#include <map>
#include <mutex>
#include <thread>

#include "base/memory_file_system.h"
#include "base/numa.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 16;
constexpr int kRows = 300;

class RecordedCalls final : public NumaCalls {
 public:
  Status PinThread(std::span<const uint32_t> cpus) override {
    const std::lock_guard lock(mu_);
    ++threads_on_[{cpus.begin(), cpus.end()}];
    return {};
  }
  Status PreferNode(void* data, size_t, uint32_t node) override {
    const std::lock_guard lock(mu_);
    node_of_[data] = node;
    ++arrays_on_[node];
    return {};
  }
  size_t ThreadsOn(const std::vector<uint32_t>& cpus) {
    const std::lock_guard lock(mu_);
    return threads_on_[cpus];
  }
  size_t ArraysOn(uint32_t node) {
    const std::lock_guard lock(mu_);
    return arrays_on_[node];
  }
  uint32_t NodeOf(const void* data) {
    const std::lock_guard lock(mu_);
    return node_of_.contains(data) ? node_of_[data] : UINT32_MAX;
  }

 private:
  std::mutex mu_;
  std::map<std::vector<uint32_t>, size_t> threads_on_;
  std::map<const void*, uint32_t> node_of_;
  std::map<uint32_t, size_t> arrays_on_;
};

class NumaPlacementTest : public testing::Test {
 protected:
  void Open(uint32_t index_threads) {
    StoreOptions options = TestStoreOptions("/data", 4096);
    options.index_threads = index_threads;
    options.tidy_files = false;
    options.compact = false;
    options.segment.numa = &placer_;
    auto store = Store::Open({memory_, RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }

  // Until its only segment has a sealed graph of all rows.
  std::shared_ptr<Segment> PutAndWait(const std::string& collection) {
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < kRows; ++i) {
      rows.push_back({i, RandomVector(random_, kDimension), ""});
    }
    std::promise<Status> put;
    store_->Put(collection, WithEncoding(TestBatch(TestSchema(kDimension), rows)), nullptr,
                [&put](Status status) { put.set_value(std::move(status)); });
    const Status status = put.get_future().get();
    EXPECT_TRUE(status.ok()) << status.ToString();
    const auto view = (*store_->Find(collection))->shard.Pin();
    const std::shared_ptr<Segment> segment = view->segments.front().segment;
    const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(5);
    while (segment->graph().sealed().rows < kRows && std::chrono::steady_clock::now() < give_up) {
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_EQ(segment->graph().sealed().rows, static_cast<uint32_t>(kRows));
    return segment;
  }

  Random random_{7};
  MemoryFileSystem memory_;
  Logger logger_{{.level = LogLevel::kWarn, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  RecordedCalls calls_;
  NumaPlacer placer_{{{0, {0, 1}}, {3, {2, 3}}}, calls_};
  std::unique_ptr<Store> store_;
};

TEST_F(NumaPlacementTest, ThreadsAndSegmentsTakeTurns) {
  Open(4);
  const auto first = PutAndWait("a");
  // Vectors, codes, three arrays of links, blocks and second codes of the sealed graph; norms for cosine.
  const size_t arrays = calls_.ArraysOn(0);
  EXPECT_GE(arrays, 7u);
  EXPECT_EQ(calls_.ArraysOn(3), 0u) << "all of a segment is in one place";
  const auto second = PutAndWait("b");
  EXPECT_EQ(calls_.ArraysOn(0), arrays);
  EXPECT_EQ(calls_.ArraysOn(3), arrays);
  EXPECT_EQ(first->numa_place(), 0u);
  EXPECT_EQ(second->numa_place(), 1u);
  EXPECT_EQ(calls_.NodeOf(first->vectors().bytes(0)), 0u);
  EXPECT_EQ(calls_.NodeOf(second->vectors().bytes(0)), 3u);
  store_.reset();
  EXPECT_EQ(calls_.ThreadsOn({0, 1}), 2u);
  EXPECT_EQ(calls_.ThreadsOn({2, 3}), 2u);
}

TEST_F(NumaPlacementTest, OneThreadWorksOnSegmentsOfBothNodes) {
  Open(1);
  EXPECT_EQ(PutAndWait("a")->numa_place(), 0u);
  EXPECT_EQ(PutAndWait("b")->numa_place(), 1u);
  store_.reset();
  EXPECT_EQ(calls_.ThreadsOn({0, 1}), 1u);
  EXPECT_EQ(calls_.ThreadsOn({2, 3}), 0u);
}

}  // namespace
}  // namespace longbow::engine
