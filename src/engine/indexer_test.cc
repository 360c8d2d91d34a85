// Who goes first: puts before linking for a moment, searches before puts for a moment.
#include "engine/indexer.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <thread>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

using std::chrono::milliseconds;
using SteadyClock = std::chrono::steady_clock;

constexpr int kDimension = 64;

class IndexerTest : public ::testing::Test {
 protected:
  void Open(uint32_t index_threads) {
    StoreOptions options = TestStoreOptions("/data", 1 << 17);
    options.index_threads = index_threads;
    options.tidy_files = false;
    options.compact = false;
    auto store = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }
  std::shared_ptr<arrow::RecordBatch> Rows(int64_t count) {
    std::vector<TestRow> rows;
    for (int64_t i = 0; i < count; ++i, ++next_id_) {
      rows.push_back({next_id_, RandomVector(random_, kDimension), ""});
    }
    return TestBatch(schema_, rows);
  }
  std::future<Status> Put(const std::shared_ptr<arrow::RecordBatch>& rows) {
    auto answer = std::make_shared<std::promise<Status>>();
    store_->Put("a", WithEncoding(rows), nullptr, [answer](Status status) { answer->set_value(std::move(status)); });
    return answer->get_future();
  }
  uint64_t Tail() { return (*store_->Find("a"))->shard.Pin()->TailRows(); }
  void Search() {
    SearchRequest request;
    request.collection = "a";
    request.k = 1;
    request.vectors = {QueryVector(std::vector<double>(kDimension, 0.5))};
    const auto found = store_->Search(request, nullptr);
    ASSERT_TRUE(found.ok()) << found.status().ToString();
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  MemoryFileSystem memory_;
  FaultFileSystem fs_{memory_};
  Logger logger_{{.level = LogLevel::kWarn, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  Random random_{5};
  int64_t next_id_ = 0;
  std::unique_ptr<Store> store_;
};

TEST_F(IndexerTest, LinkingMakesWayForPutsAndNotForLong) {
  Open(1);
  ASSERT_TRUE(Put(Rows(1)).get().ok());
  fs_.SlowSync(milliseconds(50));
  const auto begun = SteadyClock::now();
  std::future<Status> first = Put(Rows(500));
  std::future<Status> in_flight = Put(Rows(10));
  ASSERT_TRUE(first.get().ok());
  const uint64_t tail = Tail();
  const bool was_in_flight = in_flight.wait_for(milliseconds(0)) != std::future_status::ready;
  if (was_in_flight && SteadyClock::now() - begun < milliseconds(200)) {  // else this machine is too slow to tell
    EXPECT_GE(tail, 500u);
  }
  fs_.SlowSync(milliseconds(5));
  // A stream of puts without end does not keep rows out of the graph for ever.
  bool linked = false;
  for (int i = 0; i < 1'000 && !linked; ++i) {
    std::future<Status> next = Put(Rows(1));
    ASSERT_TRUE(in_flight.get().ok());
    in_flight = std::move(next);
    linked = Tail() < 100;
  }
  EXPECT_TRUE(linked);
  ASSERT_TRUE(in_flight.get().ok());
}

TEST_F(IndexerTest, PutsWaitAMomentWhileTheirCollectionIsSearchedAndItsTailIsLong) {
  Open(0);  // nothing is ever linked
  const int64_t long_tail = (1 << 20) / (kDimension * 4) + 100;
  ASSERT_TRUE(Put(Rows(long_tail)).get().ok());
  EXPECT_EQ(Tail(), static_cast<uint64_t>(long_tail));
  const auto time_put = [&](int64_t rows) {
    const auto begun = SteadyClock::now();
    EXPECT_TRUE(Put(Rows(rows)).get().ok());
    return SteadyClock::now() - begun;
  };
  std::atomic<bool> stop{false};
  std::thread searches([&] {
    while (!stop) {
      Search();
      std::this_thread::sleep_for(milliseconds(5));
    }
  });
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_GE(time_put(100), milliseconds(1'900));
  EXPECT_LT(time_put(1), milliseconds(1'900));
  stop = true;
  searches.join();
  std::this_thread::sleep_for(milliseconds(1'100));
  EXPECT_LT(time_put(100), milliseconds(1'900));  // nobody searches any more
}

TEST_F(IndexerTest, PutsOfASearchedCollectionWithAShortTailDoNotWait) {
  Open(0);
  ASSERT_TRUE(Put(Rows(100)).get().ok());
  Search();
  const auto begun = SteadyClock::now();
  ASSERT_TRUE(Put(Rows(100)).get().ok());
  EXPECT_LT(SteadyClock::now() - begun, milliseconds(1'900));
}

}  // namespace
}  // namespace longbow::engine
