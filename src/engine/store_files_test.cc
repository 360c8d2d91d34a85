// A store whose memory is short: what the process holds is what the test says.
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 32;
constexpr uint64_t kMiB = 1 << 20;

class StoreFilesTest : public ::testing::Test {
 protected:
  StoreFilesTest() : folder_(testing::TempDir() + "longbow_store_files_" + std::to_string(getpid())) {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_);
  }
  ~StoreFilesTest() override {
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  void Open(uint64_t budget_bytes = 64 * kMiB, bool compact = false) {
    StoreOptions options = TestStoreOptions(folder_ + "/data", compact ? 1 << 20 : 4096);
    options.log_file_size_bytes = 1 << 20;
    options.compact = compact;
    options.compaction_period = std::chrono::milliseconds(50);
    options.memory.budget = {.size_bytes = budget_bytes, .put_wait_max = std::chrono::milliseconds(300)};
    options.memory.budget.held_bytes = [this] { return held_bytes_.load(); };
    options.memory.period = std::chrono::milliseconds(10);
    auto store = Store::Open({RealFileSystem(), RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }
  Status Put(int64_t first_id, int count) {
    std::vector<TestRow> rows;
    for (int64_t id = first_id; id < first_id + count; ++id) {
      rows.push_back({id, RandomVector(random_, kDimension), "row " + std::to_string(id)});
    }
    std::promise<Status> answer;
    store_->Put("d", WithEncoding(TestBatch(schema_, rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    const Status status = answer.get_future().get();
    for (TestRow& row : rows) {
      if (status.ok()) {
        expected_[row.id] = std::move(row);
      }
    }
    return status;
  }
  // And long enough for the controller to see it.
  void Hold(uint64_t held_bytes) {
    held_bytes_ = held_bytes;
    std::this_thread::sleep_for(std::chrono::milliseconds(150));
  }
  std::map<int64_t, TestRow> Rows() {
    std::map<int64_t, TestRow> rows;
    auto cursor = *ScanCursor::Open((*store_->Find("d"))->shard, {});
    while (const auto batch = *cursor->Next(nullptr)) {
      for (TestRow& row : RowsOf(*batch)) {
        EXPECT_TRUE(rows.emplace(row.id, row).second) << "id " << row.id << " twice";
      }
    }
    return rows;
  }
  // Of 20 queries, the ten nearest.
  double Recall() {
    int right = 0;
    for (int i = 0; i < 20; ++i) {
      const std::vector<float> query = RandomVector(random_, kDimension);
      std::vector<std::pair<double, int64_t>> exact;
      for (const auto& [id, row] : expected_) {
        double distance = 0;
        for (int j = 0; j < kDimension; ++j) {
          distance += (row.vector[j] - query[j]) * (row.vector[j] - query[j]);
        }
        exact.emplace_back(distance, id);
      }
      std::partial_sort(exact.begin(), exact.begin() + 10, exact.end());
      SearchRequest request;
      request.collection = "d";
      request.vectors = {QueryVector(std::vector<double>(query.begin(), query.end()))};
      request.k = 10;
      const auto found = store_->Search(request, nullptr);
      EXPECT_TRUE(found.ok()) << found.status().ToString();
      for (const Hit& hit : found->front().hits) {
        right += std::any_of(exact.begin(), exact.begin() + 10,
                             [&](const auto& row) { return row.second == static_cast<int64_t>(hit.id); });
      }
    }
    return right / 200.0;
  }
  uint64_t InMemoryBytes() {
    uint64_t size_bytes = 0;
    const auto view = (*store_->Find("d"))->shard.Pin();
    for (const SegmentView& segment : view->segments) {
      const SegmentGraph::Memory graph = segment.segment->graph().memory();
      size_bytes += segment.segment->memory_bytes() + graph.active + graph.sealed;
    }
    return size_bytes;
  }
  static bool WaitFor(const std::function<bool()>& done, std::chrono::seconds at_most = std::chrono::seconds(30)) {
    const auto give_up = std::chrono::steady_clock::now() + at_most;
    while (!done()) {
      if (std::chrono::steady_clock::now() > give_up) {
        return false;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    return true;
  }

  const std::string folder_;
  std::atomic<uint64_t> held_bytes_{kMiB};
  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  std::map<int64_t, TestRow> expected_;
  Random random_{7};
};

TEST_F(StoreFilesTest, UnderPressureFullSegmentsMoveToTheirFilesAndNothingIsLost) {
  Open();
  ASSERT_TRUE(Put(0, 10'000).ok());
  ASSERT_TRUE(store_->Delete("d", {"5", "4711", "9999"}).ok());
  for (const int64_t id : {5, 4711, 9999}) {
    expected_.erase(id);
  }
  const uint64_t before = InMemoryBytes();
  EXPECT_GT(before, 10'000u * kDimension * sizeof(float));
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  EXPECT_GE(InMemoryBytes(), 10'000u * kDimension * sizeof(float)) << "no pressure: all stays";
  Hold(55 * kMiB);  // puts have to wait
  EXPECT_EQ(Put(20'000, 10).code(), StatusCode::kResourceExhausted);
  EXPECT_TRUE(WaitFor([&] {
    (void)Put(20'000, 1);  // somebody goes on asking: only then are open segments ended
    return InMemoryBytes() < before / 4;
  })) << InMemoryBytes()
      << " of " << before;
  EXPECT_EQ(Rows(), expected_);
  ASSERT_TRUE(store_->Delete("d", {"77"}).ok()) << "deletes are not refused";
  expected_.erase(77);
  Hold(kMiB);
  ASSERT_TRUE(Put(9'990, 20).ok()) << "it recovers by itself, and replaces rows in files";
  EXPECT_EQ(Rows(), expected_);
  for (const int64_t id : {int64_t{1}, int64_t{5'000}, int64_t{9'995}}) {
    const auto hits = store_->SearchById("d", std::to_string(id), 1, nullptr);
    ASSERT_TRUE(hits.ok()) << hits.status().ToString();
    EXPECT_EQ(hits->front().id, static_cast<uint64_t>(id));
  }
  store_.reset();
  Open();
  EXPECT_EQ(Rows(), expected_);
}

TEST_F(StoreFilesTest, SmallSegmentsAreJoinedInScratchFilesAndNothingIsLost) {
  constexpr uint64_t kBudget = 8 * kMiB;
  constexpr int64_t kRows = 68'000;  // 8.3 MiB
  // A fifth of the budget suffices to join 19,000 rows. Where no two neighbours are fewer there are at most eight, and
  // one that has three times the rows of the next stays beside it.
  constexpr size_t kSegmentsMax = 9;
  Open(kBudget, true);
  Hold(kBudget / 10 * 7);  // nothing larger than some thousand rows would fit
  size_t segments_most = 0;
  for (int64_t id = 0; id < kRows; id += 500) {
    ASSERT_TRUE(WaitFor([&] { return Put(id, 500).ok(); }));
    segments_most = std::max(segments_most, (*store_->Find("d"))->shard.Pin()->segments.size());
  }
  ASSERT_TRUE(store_->Delete("d", {"5", "4711", "39999"}).ok());
  for (const int64_t id : {5, 4711, 39'999}) {
    expected_.erase(id);
  }
  EXPECT_GT(segments_most, kSegmentsMax);
  EXPECT_TRUE(WaitFor(
      [&] {
        const auto view = (*store_->Find("d"))->shard.Pin();
        return view->segments.size() <= kSegmentsMax && InMemoryBytes() < kBudget / 20 &&
               std::none_of(view->segments.begin(), view->segments.end(),
                            [](const SegmentView& segment) { return segment.segment->is_in_scratch(); });
      },
      std::chrono::minutes(3)))
      << InMemoryBytes() << " bytes of " << (*store_->Find("d"))->shard.Pin()->segments.size() << " segments";
  EXPECT_EQ(Rows(), expected_);
  EXPECT_GT(Recall(), 0.9);
  store_.reset();
  Open(kBudget, true);
  EXPECT_LE((*store_->Find("d"))->shard.Pin()->segments.size(), kSegmentsMax);
  EXPECT_EQ(Rows(), expected_);
  EXPECT_GT(Recall(), 0.9);
}

TEST_F(StoreFilesTest, ARefusedPutLeavesNoTrace) {
  Open();
  Hold(60 * kMiB);
  const Status status = Put(0, 10);
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("retry in"), std::string_view::npos) << status.message();
  EXPECT_EQ(store_->Find("d").status().code(), StatusCode::kNotFound) << "not even the dataset";
  store_.reset();
  Open();
  EXPECT_TRUE(store_->List().empty());
}

TEST_F(StoreFilesTest, MetricsSayWhoHoldsWhat) {
  Open();
  ASSERT_TRUE(Put(0, 3'000).ok());
  Hold(60 * kMiB);
  EXPECT_FALSE(Put(5'000, 10).ok());
  store_->UpdateGauges();
  const std::string text = metrics_.Render();
  for (const char* line :
       {"longbow_memory_budget_bytes 67108864", "longbow_memory_held_bytes 62914560", "longbow_memory_refusals_total 1",
        "longbow_memory_used_bytes{kind=\"active_graphs\"} ", "longbow_memory_used_bytes{kind=\"other\"} "}) {
    EXPECT_NE(text.find(line), std::string::npos) << line;
  }
  EXPECT_EQ(text.find("longbow_memory_used_bytes{kind=\"ids\"} 0\n"), std::string::npos);
}

}  // namespace
}  // namespace longbow::engine
