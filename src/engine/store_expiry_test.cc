// A store whose rows end: what a restart, a full disk and a compaction make of it.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <future>
#include <set>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

using std::chrono::hours;
using std::chrono::seconds;

constexpr int kDimension = 32;

// The wall clock is the test's, the steady one the machine's: what the store does by itself goes on.
class WallClock final : public Clock {
 public:
  int64_t WallNowNs() override { return wall_ns_; }
  std::chrono::steady_clock::time_point SteadyNow() override { return std::chrono::steady_clock::now(); }
  void Jump(std::chrono::nanoseconds step) { wall_ns_ += step.count(); }

 private:
  std::atomic<int64_t> wall_ns_{1'700'000'000'000'000'000};
};

class StoreExpiryTest : public ::testing::Test {
 protected:
  void Open(int64_t default_ttl_seconds = 0) {
    store_.reset();
    StoreOptions options = TestStoreOptions("/data", 256);
    options.tidy_files = false;
    options.compact = false;
    options.default_ttl_seconds = default_ttl_seconds;
    auto store = Store::Open({fs_, clock_, logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
    while (!store_->FilesAreChecked()) {
      std::this_thread::yield();
    }
  }
  void LosePower(uint64_t seed) {
    fs_.FailAllFrom(1, FaultKind::kIoError);
    store_.reset();
    fs_.Heal();
    disk_.Crash(MemoryFileSystem::Unsynced::kTorn, seed);
    Open();
  }
  Status Put(const std::shared_ptr<arrow::RecordBatch>& rows) {
    std::promise<Status> answer;
    store_->Put("a", WithEncoding(rows), nullptr, [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  std::shared_ptr<arrow::RecordBatch> Rows(int64_t first, int64_t count) {
    std::vector<TestRow> rows;
    for (int64_t id = first; id < first + count; ++id) {
      rows.push_back({id, RandomVector(random_, kDimension), "name"});
    }
    return TestBatch(schema_, rows);
  }
  // With a column of times in seconds.
  std::shared_ptr<arrow::RecordBatch> Timed(int64_t id, const std::string& column, int64_t seconds_from_now) {
    arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::SECOND), arrow::default_memory_pool());
    EXPECT_TRUE(times.Append(clock_.WallNowNs() / 1'000'000'000 + seconds_from_now).ok());
    return *Rows(id, 1)->AddColumn(3, arrow::field(column, times.type()), *times.Finish());
  }
  void SetMetadata(const std::vector<std::string>& keys, const std::vector<std::string>& values) {
    schema_ = schema_->WithMetadata(arrow::key_value_metadata(keys, values));
  }
  void PutOk(int64_t first, int64_t count) {
    const Status status = Put(Rows(first, count));
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  std::set<int64_t> Ids() {
    std::set<int64_t> ids;
    auto cursor = *ScanCursor::Open((*store_->Find("a"))->shard, {});
    while (const auto batch = *cursor->Next(nullptr)) {
      for (const TestRow& row : RowsOf(*batch)) {
        ids.insert(row.id);
      }
    }
    return ids;
  }
  static std::set<int64_t> Range(int64_t begin, int64_t end) {
    std::set<int64_t> ids;
    for (int64_t id = begin; id < end; ++id) {
      ids.insert(id);
    }
    return ids;
  }
  std::shared_ptr<const View> Pin() { return (*store_->Find("a"))->shard.Pin(); }
  uint64_t DiskBytes() {
    uint64_t bytes = 0;
    const std::vector<std::string> files = *fs_.List("/data/segments/1");
    for (const std::string& file : files) {
      bytes += *(*fs_.Open("/data/segments/1/" + file, OpenMode::kRead))->Size();
    }
    return bytes;
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  WallClock clock_;
  MemoryFileSystem disk_;
  FaultFileSystem fs_{disk_};
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  Random random_{23};
};

TEST_F(StoreExpiryTest, TimesOutliveRestartsFromTheLogAndFromFiles) {
  SetMetadata({"longbow.ttl_seconds"}, {"100"});
  for (const bool checkpoint : {false, true}) {
    SCOPED_TRACE(checkpoint);
    Open();
    PutOk(0, 300);
    clock_.Jump(seconds(50));
    PutOk(300, 10);
    if (checkpoint) {
      ASSERT_TRUE(store_->Checkpoint().ok());
    }
    LosePower(1);
    EXPECT_EQ(Ids(), Range(0, 310));
    clock_.Jump(seconds(50));
    EXPECT_EQ(Ids(), Range(300, 310));
    EXPECT_EQ(store_->SearchById("a", "7", 1, nullptr).status().code(), StatusCode::kNotFound);
    LosePower(2);
    EXPECT_EQ(Ids(), Range(300, 310));
    clock_.Jump(seconds(50));
    EXPECT_EQ(Ids(), std::set<int64_t>());
    ASSERT_TRUE(store_->DropCollection("a").ok());
  }
}

TEST_F(StoreExpiryTest, WhatASweepDeletedStaysDeletedIfTheClockIsSetBack) {
  SetMetadata({"longbow.ttl_seconds"}, {"100"});
  Open();
  PutOk(0, 20);
  clock_.Jump(seconds(60));
  PutOk(20, 20);
  clock_.Jump(seconds(50));
  ASSERT_TRUE(store_->ExpireRows().ok());
  EXPECT_EQ(Pin()->live_rows, 20u);
  clock_.Jump(-hours(48));
  EXPECT_EQ(Ids(), Range(20, 40));
  LosePower(3);
  EXPECT_EQ(Ids(), Range(20, 40)) << "the log remembers the sweep";
  ASSERT_TRUE(store_->Checkpoint().ok());
  LosePower(4);
  EXPECT_EQ(Ids(), Range(20, 40));
}

TEST_F(StoreExpiryTest, RowsAreSweptInTheBackground) {
  SetMetadata({"longbow.ttl_seconds"}, {"100"});
  Open();
  PutOk(0, 20);
  clock_.Jump(seconds(100));
  for (int i = 0; i < 1000 && Pin()->live_rows > 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(Pin()->live_rows, 0u);
  EXPECT_NE(metrics_.Render().find("longbow_rows_expired_total 20\n"), std::string::npos);
}

TEST_F(StoreExpiryTest, ACompactionGivesTheSpaceBack) {
  SetMetadata({"longbow.ttl_seconds"}, {"100"});
  Open();
  PutOk(0, 1024);
  ASSERT_TRUE(store_->SetTtl("a", 0, std::nullopt).ok());
  SetMetadata({}, {});
  PutOk(1024, 256);
  PutOk(2000, 1);
  ASSERT_TRUE(store_->Checkpoint().ok());
  const uint64_t before = DiskBytes();
  clock_.Jump(seconds(100));
  size_t compacted = 0;
  const Status status = store_->Compact(&compacted);
  ASSERT_TRUE(status.ok()) << status.ToString();
  EXPECT_EQ(compacted, 4u);
  EXPECT_EQ(Pin()->rows, 257u);
  EXPECT_LT(DiskBytes(), before / 3) << "of " << before;
  std::set<int64_t> left = Range(1024, 1280);
  left.insert(2000);
  EXPECT_EQ(Ids(), left);
  Open();
  EXPECT_EQ(Ids(), left);
}

TEST_F(StoreExpiryTest, CompactedRowsKeepTheirTimes) {
  SetMetadata({"longbow.ttl_seconds"}, {"100"});
  Open();
  PutOk(0, 128);
  clock_.Jump(seconds(50));
  PutOk(128, 128);
  PutOk(256, 1);
  clock_.Jump(seconds(50));
  size_t compacted = 0;
  ASSERT_TRUE(store_->Compact(&compacted).ok());
  EXPECT_EQ(compacted, 1u);
  EXPECT_EQ(Ids(), Range(128, 257));
  clock_.Jump(seconds(50));
  EXPECT_EQ(Ids(), std::set<int64_t>());
  Open();
  EXPECT_EQ(Ids(), std::set<int64_t>());
}

TEST_F(StoreExpiryTest, SetTtlIsForRowsPutFromThenOn) {
  Open();
  PutOk(0, 5);
  ASSERT_TRUE(store_->SetTtl("a", 10, std::nullopt).ok());
  PutOk(5, 5);
  ASSERT_TRUE(store_->SetTtl("a", 20, std::nullopt).ok());
  PutOk(10, 5);
  ASSERT_TRUE(store_->SetTtl("a", 0, std::nullopt).ok());
  PutOk(15, 5);
  clock_.Jump(seconds(10));
  std::set<int64_t> expected = Range(0, 20);
  for (int64_t id = 5; id < 10; ++id) {
    expected.erase(id);
  }
  EXPECT_EQ(Ids(), expected);
  LosePower(5);
  EXPECT_EQ(Ids(), expected);
  clock_.Jump(seconds(10));
  for (int64_t id = 10; id < 15; ++id) {
    expected.erase(id);
  }
  EXPECT_EQ(Ids(), expected);
}

TEST_F(StoreExpiryTest, AColumnThatWasThereBeforeCountsForTheRowsThatHaveIt) {
  Open();
  ASSERT_TRUE(Put(Timed(1, "until", 10)).ok());
  ASSERT_TRUE(Put(Timed(2, "until", 1000)).ok());
  PutOk(3, 1);
  clock_.Jump(seconds(10));
  EXPECT_EQ(Ids(), Range(1, 4));
  ASSERT_TRUE(store_->SetTtl("a", 0, "until").ok());
  EXPECT_EQ(Ids(), Range(2, 4));
  LosePower(6);
  EXPECT_EQ(Ids(), Range(2, 4));
  EXPECT_EQ(store_->SetTtl("a", 0, "other").code(), StatusCode::kInvalidArgument);
}

TEST_F(StoreExpiryTest, WhatMakesNoSenseIsRefusedAndChangesNothing) {
  Open();
  const auto refused = [&](const std::vector<std::string>& keys, const std::vector<std::string>& values) {
    const auto kept = schema_;
    SetMetadata(keys, values);
    const Status status = Put(Rows(0, 1));
    schema_ = kept;
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    return std::string(status.message());
  };
  for (const std::string seconds : {"-1", "3153600001", "99999999999999999999", "1.5", "1h", "", " 1"}) {
    EXPECT_NE(refused({"longbow.ttl_seconds"}, {seconds}).find("longbow.ttl_seconds must be"), std::string::npos);
  }
  EXPECT_NE(refused({"longbow.expires_at"}, {"name"}).find("a timestamp is needed"), std::string::npos);
  refused({"longbow.expires_at"}, {"id"});
  refused({"longbow.expires_at"}, {"vector"});
  refused({"longbow.expires_at"}, {""});
  EXPECT_FALSE(store_->Find("a").ok()) << "nothing was created";

  PutOk(0, 1);
  EXPECT_EQ(refused({"longbow.ttl_seconds"}, {"5"}),
            "ttl mismatch: the collection has longbow.ttl_seconds=0, the put says 5; the action SetTtl changes it");
  refused({"longbow.expires_at"}, {"until"});
  for (const int64_t seconds : {int64_t{-1}, int64_t{3'153'600'001}, std::numeric_limits<int64_t>::max()}) {
    EXPECT_EQ(store_->SetTtl("a", seconds, std::nullopt).code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(store_->SetTtl("a", 5, "name").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->SetTtl("a", 5, "").code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(store_->SetTtl("b", 5, std::nullopt).code(), StatusCode::kNotFound);
  EXPECT_EQ(Pin()->schema->expiry_column, -1);
  ASSERT_TRUE(store_->SetTtl("a", 3'153'600'000, "until").ok());
  EXPECT_EQ(Pin()->schema->ttl_seconds, 3'153'600'000);
  const Status before_1970 = Put(*Rows(9, 1)->AddColumn(
      3, arrow::field("until", arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")),
      *arrow::MakeArrayFromScalar(arrow::TimestampScalar(-1, arrow::timestamp(arrow::TimeUnit::MICRO, "UTC")), 1)));
  EXPECT_EQ(before_1970.message(),
            "column \"until\", row 0: a row cannot expire before 1970; leave the time null for one that stays");
  EXPECT_EQ(Ids(), Range(0, 1));
}

TEST_F(StoreExpiryTest, ADefaultIsForCollectionsThatSayNothing) {
  Open(30);
  PutOk(0, 1);
  clock_.Jump(seconds(30));
  EXPECT_EQ(Ids(), std::set<int64_t>());
  ASSERT_TRUE(store_->DropCollection("a").ok());
  SetMetadata({"longbow.ttl_seconds"}, {"0"});
  PutOk(0, 1);
  clock_.Jump(hours(30));
  EXPECT_EQ(Ids(), Range(0, 1));
}

TEST_F(StoreExpiryTest, WithoutADiskToWriteToReadsLeaveExpiredRowsOutAllTheSame) {
  SetMetadata({"longbow.ttl_seconds"}, {"100"});
  Open();
  PutOk(0, 20);
  fs_.FailAllFrom(1, FaultKind::kIoError);
  EXPECT_FALSE(Put(Rows(20, 1)).ok());
  EXPECT_EQ(store_->SetTtl("a", 50, std::nullopt).code(), StatusCode::kUnavailable);
  clock_.Jump(seconds(100));
  EXPECT_TRUE(store_->ExpireRows().ok());
  EXPECT_EQ(Ids(), std::set<int64_t>());
  EXPECT_EQ(Pin()->live_rows, 20u) << "not swept: that would need the log";
  fs_.Heal();
  for (int i = 0; i < 1000 && !store_->WriteHealth().ok(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  ASSERT_TRUE(store_->ExpireRows().ok());
  EXPECT_EQ(Pin()->live_rows, 0u);
}

}  // namespace
}  // namespace longbow::engine
