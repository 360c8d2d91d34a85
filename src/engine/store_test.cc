#include "engine/store.h"

#include <gtest/gtest.h>

#include <future>
#include <map>
#include <thread>

#include "base/fault_file_system.h"
#include "base/late_sync.h"
#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 4;

// A store over a disk that can lose power.
class StoreTest : public ::testing::Test {
 protected:
  void Open() {
    StoreOptions options = TestStoreOptions("/data", 512);
    options.tidy_files = tidy_files_;
    options.compact = false;
    auto store = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }
  void Reopen() {
    store_.reset();
    Open();
  }
  void LosePowerAndHeal(uint64_t seed) {
    fs_.FailAllFrom(1, FaultKind::kIoError);  // nothing reaches the disk any more
    store_.reset();
    fs_.Heal();
    disk_.Crash(MemoryFileSystem::Unsynced::kTorn, seed);
    Open();
  }
  Status Put(const std::string& name, const std::vector<TestRow>& rows) { return Put(name, TestBatch(schema_, rows)); }
  Status Put(const std::string& name, const std::shared_ptr<arrow::RecordBatch>& rows) {
    std::promise<Status> answer;
    store_->Put(name, WithEncoding(rows), nullptr, [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  std::map<int64_t, TestRow> Rows(const std::string& name) {
    std::map<int64_t, TestRow> rows;
    auto collection = store_->Find(name);
    if (!collection.ok()) {
      return rows;
    }
    auto cursor = *ScanCursor::Open((*collection)->shard, {});
    while (const auto batch = *cursor->Next(nullptr)) {
      for (TestRow& row : RowsOf(*batch)) {
        EXPECT_TRUE(rows.emplace(row.id, row).second) << "id " << row.id << " twice";
      }
    }
    return rows;
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  MemoryFileSystem disk_;
  FaultFileSystem fs_{disk_};
  Logger logger_{
      {.level = LogLevel::kError, .sink = [](std::string_view) {}}};  // failures are injected here on purpose
  Metrics metrics_;
  bool tidy_files_ = false;  // where it is on, the maintenance thread writes whenever it likes
  std::unique_ptr<Store> store_;
  Random random_{11};
};

TEST_F(StoreTest, AcknowledgedRowsAreThereAfterARestart) {
  Open();
  const TestRow row{1, RandomVector(random_, kDimension), "one"};
  ASSERT_TRUE(Put("a", {row}).ok());
  ASSERT_TRUE(Put("ns/b", {row}).ok());
  ASSERT_TRUE(store_->CreateNamespace("empty").ok());
  Reopen();
  EXPECT_EQ(Rows("a").at(1), row);
  EXPECT_EQ(Rows("default/a").at(1), row);
  EXPECT_EQ(Rows("ns/b").at(1), row);
  EXPECT_EQ(store_->Namespaces(), (std::vector<std::string>{"default", "empty", "ns"}));
  EXPECT_EQ(store_->List().size(), 2u);
}

TEST_F(StoreTest, ABadFirstPutLeavesNoTrace) {
  Open();
  TestRow row{1, RandomVector(random_, kDimension), "one"};
  row.vector[2] = std::numeric_limits<float>::infinity();
  EXPECT_EQ(Put("a", {row}).code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(Put("", {row}).code(), StatusCode::kInvalidArgument);
  EXPECT_TRUE(store_->List().empty());
  Reopen();
  EXPECT_TRUE(store_->List().empty());
}

TEST_F(StoreTest, DropsAndNamespacesSurviveARestart) {
  Open();
  ASSERT_TRUE(Put("a", {{1, RandomVector(random_, kDimension), "one"}}).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  ASSERT_TRUE(store_->DropCollection("a").ok());
  EXPECT_EQ(store_->DropCollection("a").code(), StatusCode::kNotFound);
  ASSERT_TRUE(Put("a", {{2, RandomVector(random_, kDimension), "two"}}).ok());
  ASSERT_TRUE(store_->CreateNamespace("n").ok());
  EXPECT_EQ(store_->CreateNamespace("n").code(), StatusCode::kAlreadyExists);
  ASSERT_TRUE(Put("n/x", {{2, RandomVector(random_, kDimension), "two"}}).ok());
  EXPECT_EQ(store_->DropNamespace("n").code(), StatusCode::kFailedPrecondition);
  Reopen();
  EXPECT_EQ(Rows("a").size(), 1u);
  EXPECT_EQ(Rows("a").begin()->first, 2);
  ASSERT_TRUE(store_->DropCollection("n/x").ok());
  ASSERT_TRUE(store_->DropNamespace("n").ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  Reopen();
  EXPECT_EQ(store_->Namespaces(), std::vector<std::string>{"default"});
}

TEST_F(StoreTest, DeletesNeedKnownIdsAndAreDurable) {
  Open();
  ASSERT_TRUE(
      Put("a", {{1, RandomVector(random_, kDimension), "one"}, {2, RandomVector(random_, kDimension), "two"}}).ok());
  EXPECT_EQ(store_->Delete("a", {"1", "99"}).message(), "id 99 not found in dataset a");
  EXPECT_EQ(Rows("a").size(), 2u);
  ASSERT_TRUE(store_->Delete("a", {"1"}).ok());
  ASSERT_TRUE(store_->Delete("a", {"1"}).ok());
  EXPECT_EQ(store_->Delete("nope", {"1"}).message(), "dataset nope not found");
  Reopen();
  EXPECT_EQ(Rows("a").size(), 1u);
  ASSERT_TRUE(store_->Checkpoint().ok());
  Reopen();
  EXPECT_EQ(Rows("a").size(), 1u);
}

TEST_F(StoreTest, ACheckpointCutsTheLogAndReplaysNothing) {
  Open();
  for (int64_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(Put("a", {{i, RandomVector(random_, kDimension), std::string(1000, 'x')}}).ok());
  }
  const auto before = Rows("a");
  ASSERT_TRUE(store_->Checkpoint().ok());
  const auto log_files = *disk_.List("/data/log");
  EXPECT_LE(
      std::count_if(log_files.begin(), log_files.end(), [](const std::string& name) { return name.ends_with(".log"); }),
      2);
  Reopen();
  EXPECT_EQ(Rows("a"), before);
  ASSERT_TRUE(Put("a", {{1000, RandomVector(random_, kDimension), "new"}}).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  Reopen();
  EXPECT_EQ(Rows("a").size(), 201u);
}

TEST_F(StoreTest, ALostManifestIsRefusedAndNothingIsRemoved) {
  Open();
  for (int64_t i = 0; i < 200; ++i) {
    ASSERT_TRUE(Put("a", {{i, RandomVector(random_, kDimension), std::string(1000, 'x')}}).ok());
  }
  ASSERT_TRUE(store_->Checkpoint().ok());
  store_.reset();
  ASSERT_TRUE(disk_.Remove("/data/MANIFEST").ok());
  const auto files = *disk_.List("/data/segments/1");
  StoreOptions options;
  options.data_dir = "/data";
  options.segment = TestSegmentOptions();
  options.log_file_size_bytes = 1 << 20;
  const auto store = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
  EXPECT_EQ(store.status().code(), StatusCode::kDataLoss) << store.status().ToString();
  EXPECT_EQ(*disk_.List("/data/segments/1"), files);
}

TEST_F(StoreTest, ACheckpointThatFailedCanBeTriedAgain) {
  Open();
  ASSERT_TRUE(
      Put("a", {{1, RandomVector(random_, kDimension), "one"}, {1, RandomVector(random_, kDimension), "two"}}).ok());
  const auto before = Rows("a");
  for (uint64_t nth = 1; nth <= 8; ++nth) {
    fs_.FailCall(FileCall::kWrite, nth, FaultKind::kNoSpace);
    const Status status = store_->Checkpoint();
    fs_.Heal();
    if (status.ok()) {
      break;
    }
    EXPECT_EQ(Rows("a"), before);
  }
  ASSERT_TRUE(store_->Checkpoint().ok());
  Reopen();
  EXPECT_EQ(Rows("a"), before);
}

TEST_F(StoreTest, AStopWaitsForNoCheckpoint) {
  constexpr int kCollections = 20;
  constexpr std::chrono::milliseconds kSync{300};  // of a file that is too large to wait for the others: 6 s in all
  const std::string name(LateSync::kSyncedAloneBytes, 'x');
  tidy_files_ = true;
  Open();
  for (int i = 0; i < kCollections; ++i) {
    ASSERT_TRUE(Put("c" + std::to_string(i), {{1, RandomVector(random_, kDimension), name}}).ok());
  }
  fs_.SlowSync(kSync);
  Reopen();  // with something to write: what was replayed
  const uint64_t syncs = fs_.Count(FileCall::kSync);
  for (int i = 0; i < 10'000 && fs_.Count(FileCall::kSync) < syncs + 3; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  ASSERT_GE(fs_.Count(FileCall::kSync), syncs + 3);
  const auto before = std::chrono::steady_clock::now();
  store_.reset();
  EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(2));
  fs_.SlowSync(std::chrono::microseconds(0));
  Open();
  for (int i = 0; i < kCollections; ++i) {
    ASSERT_EQ(Rows("c" + std::to_string(i)).size(), 1u);
  }
}

TEST_F(StoreTest, AFailedFsyncStopsWritesAndReadsGoOn) {
  Open();
  ASSERT_TRUE(Put("a", {{1, RandomVector(random_, kDimension), "one"}}).ok());
  fs_.FailCall(FileCall::kSync, 1, FaultKind::kIoError);
  EXPECT_EQ(Put("a", {{2, RandomVector(random_, kDimension), "two"}}).code(), StatusCode::kUnavailable);
  EXPECT_EQ(Put("a", {{3, RandomVector(random_, kDimension), "three"}}).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store_->Delete("a", {"1"}).code(), StatusCode::kUnavailable);
  EXPECT_EQ(store_->DropCollection("a").code(), StatusCode::kUnavailable);
  EXPECT_FALSE(store_->WriteHealth().ok());
  EXPECT_EQ(Rows("a").size(), 1u);
  Reopen();
  EXPECT_TRUE(store_->WriteHealth().ok());
  EXPECT_TRUE(Rows("a").contains(1));
}

TEST_F(StoreTest, ASecondStoreOnTheSameFolderIsRefused) {
  Open();
  StoreOptions options;
  options.data_dir = "/data";
  options.segment = TestSegmentOptions();
  options.log_file_size_bytes = 1 << 20;
  const auto second = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
  EXPECT_EQ(second.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(second.status().message().find("test"), std::string_view::npos) << second.status().ToString();
}

TEST_F(StoreTest, SchemaGrowsAndRefusesBreaks) {
  Open();
  ASSERT_TRUE(Put("a", {{1, RandomVector(random_, kDimension), "one"}}).ok());
  const auto other = TestSchema(kDimension + 1);
  const Status refused = Put("a", TestBatch(other, {{2, RandomVector(random_, kDimension + 1), "two"}}));
  EXPECT_NE(refused.message().find("schema mismatch: type mismatch for column \"vector\""), std::string_view::npos)
      << refused.ToString();
  EXPECT_NE(refused.message().find("dimension mismatch: expected 4, got 5"), std::string_view::npos)
      << refused.ToString();
  const auto wider = *schema_->AddField(3, arrow::field("price", arrow::int32()));
  auto columns = TestBatch(schema_, {{2, RandomVector(random_, kDimension), "two"}})->columns();
  columns.push_back(*arrow::MakeArrayFromScalar(arrow::Int32Scalar(9), 1));
  ASSERT_TRUE(Put("a", arrow::RecordBatch::Make(wider, 1, columns)).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  Reopen();
  EXPECT_EQ(Rows("a").size(), 2u);
  EXPECT_EQ((*store_->Find("a"))->shard.Pin()->schema->columns->num_fields(), 4);
}

// Power cuts between random operations, checkpoints among them: what was acknowledged is there, nothing else.
TEST_F(StoreTest, PowerCutsLoseNothingThatWasAcknowledged) {
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    Open();
    const std::string name = "seed" + std::to_string(seed);
    std::map<int64_t, TestRow> model;
    for (int step = 0; step < 40; ++step) {
      const uint64_t kind = random.Below(20);
      if (kind < 12) {
        std::vector<TestRow> rows(1 + random.Below(30));
        for (TestRow& row : rows) {
          row = {static_cast<int64_t>(random.Below(300)), RandomVector(random, kDimension),
                 std::to_string(random.Next())};
        }
        ASSERT_TRUE(Put(name, rows).ok());
        for (const TestRow& row : rows) {
          model[row.id] = row;
        }
      } else if (kind < 16 && !model.empty()) {
        const auto victim = std::next(model.begin(), static_cast<std::ptrdiff_t>(random.Below(model.size())));
        ASSERT_TRUE(store_->Delete(name, {std::to_string(victim->first)}).ok());
        model.erase(victim);
      } else if (kind == 16) {
        ASSERT_TRUE(store_->Checkpoint().ok());
      } else if (kind == 17) {
        fs_.FailAllFrom(1 + random.Below(12), FaultKind::kShortWrite);
        (void)store_->Checkpoint();  // dies in the middle, at most
        LosePowerAndHeal(random.Next());
      } else {
        LosePowerAndHeal(random.Next());
      }
      ASSERT_EQ(Rows(name), model) << "step " << step;
    }
    store_.reset();
  }
}

}  // namespace
}  // namespace longbow::engine
