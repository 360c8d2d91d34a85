// Segments without their dead rows: nothing else changes for anybody, whatever happens meanwhile.
#include "engine/compaction.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <map>
#include <thread>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 64;
constexpr uint32_t kSegmentRows = 300;

using Rows = std::map<int64_t, TestRow>;

class CompactionTest : public ::testing::Test {
 protected:
  void Open(bool in_background = false) {
    store_.reset();
    StoreOptions options = TestStoreOptions("/data", kSegmentRows);
    options.tidy_files = in_background;
    options.compact = in_background;
    options.compaction_period = std::chrono::milliseconds(5);
    options.compaction.open_dead_rows_min = 50;
    auto store = Store::Open({fs_, RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
    for (int i = 0; i < 1000 && !store_->FilesAreChecked(); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ASSERT_TRUE(store_->FilesAreChecked());
  }
  Status Put(const std::vector<TestRow>& rows) {
    std::promise<Status> answer;
    store_->Put("a", WithEncoding(TestBatch(schema_, rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    const Status status = answer.get_future().get();
    if (status.ok()) {
      for (const TestRow& row : rows) {
        model_[row.id] = row;
      }
    }
    return status;
  }
  void PutMany(int64_t first, int64_t count) {
    std::vector<TestRow> rows;
    for (int64_t id = first; id < first + count; ++id) {
      rows.push_back({id, RandomVector(random_, kDimension), "name " + std::to_string(random_.Next())});
    }
    ASSERT_TRUE(Put(rows).ok());
  }
  void DeleteEvery(int64_t first, int64_t end, int64_t step) {
    std::vector<std::string> ids;
    for (int64_t id = first; id < end; id += step) {
      if (model_.erase(id) > 0) {
        ids.push_back(std::to_string(id));
      }
    }
    ASSERT_TRUE(store_->Delete("a", ids).ok());
  }
  size_t Compact() {
    size_t compacted = 0;
    const Status status = store_->Compact(&compacted);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return compacted;
  }
  std::shared_ptr<Collection> Get() { return *store_->Find("a"); }
  static Rows Drain(ScanCursor& cursor) {
    Rows rows;
    while (const auto batch = *cursor.Next(nullptr)) {
      for (TestRow& row : RowsOf(*batch)) {
        EXPECT_TRUE(rows.emplace(row.id, row).second) << "id " << row.id << " twice";
      }
    }
    return rows;
  }
  void ExpectAllIsThere() {
    ASSERT_EQ(Drain(**ScanCursor::Open(Get()->shard, {})), model_);
    EXPECT_EQ(Get()->shard.Pin()->live_rows, model_.size());
    for (int i = 0; i < 10 && !model_.empty(); ++i) {
      const auto at = std::next(model_.begin(), static_cast<std::ptrdiff_t>(random_.Below(model_.size())));
      const auto hits = store_->SearchById("a", std::to_string(at->first), 1, nullptr);
      ASSERT_TRUE(hits.ok()) << hits.status().ToString();
      ASSERT_EQ(hits->size(), 1u);
      EXPECT_EQ(hits->front().id, static_cast<uint64_t>(at->first));
    }
  }
  uint64_t DiskBytes() {
    uint64_t bytes = 0;
    const auto files = *fs_.List("/data/segments/1");
    for (const std::string& file : files) {
      bytes += *(*fs_.Open("/data/segments/1/" + file, OpenMode::kRead))->Size();
    }
    return bytes;
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension, "cosine");
  MemoryFileSystem disk_;
  FaultFileSystem fs_{disk_};
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
  Random random_{5};
  Rows model_;
};

TEST_F(CompactionTest, OfInnerProductAndUnequalNorms) {
  schema_ = TestSchema(kDimension, "dot_product");
  Open();
  std::vector<TestRow> rows;
  for (int64_t id = 0; id < 600; ++id) {
    rows.push_back({id, RandomVectorOfAnyNorm(random_, kDimension), "x"});
  }
  ASSERT_TRUE(Put(rows).ok());
  DeleteEvery(0, 600, 2);
  EXPECT_GT(Compact(), 0u);
  ASSERT_EQ(Drain(**ScanCursor::Open(Get()->shard, {})), model_);
}

TEST_F(CompactionTest, DropsDeadRowsAndNothingElse) {
  Open();
  PutMany(0, 1000);
  ASSERT_TRUE(store_->Checkpoint().ok());
  const uint64_t bytes_before = DiskBytes();
  EXPECT_EQ(Compact(), 0u);
  DeleteEvery(0, 900, 2);
  const auto pinned = Get()->shard.Pin();
  const auto cursor = *ScanCursor::Open(Get()->shard, {});
  const Rows then = model_;
  EXPECT_EQ(Compact(), 3u);
  EXPECT_EQ(Compact(), 0u);
  ExpectAllIsThere();
  EXPECT_EQ(Get()->shard.Pin()->rows, 550u);
  EXPECT_EQ(Get()->shard.Pin()->end_ordinal, 1000u);
  EXPECT_LT(DiskBytes(), bytes_before * 3 / 4);
  // A reader that came before sees what it saw, later changes to the same rows included.
  PutMany(0, 20);
  DeleteEvery(1, 900, 14);
  EXPECT_EQ(pinned->rows, 1000u);
  EXPECT_EQ(Drain(*cursor), then);
  ExpectAllIsThere();
  EXPECT_EQ(store_->Delete("a", {"48"}).code(), StatusCode::kNotFound);  // dropped: nobody knows it any more
  for (int round = 0; round < 2; ++round) {
    Open();
    ExpectAllIsThere();
    (void)Compact();
    ExpectAllIsThere();
  }
}

TEST_F(CompactionTest, SegmentsWithoutALivingRowGoAway) {
  Open();
  PutMany(0, 700);
  DeleteEvery(0, 600, 1);
  EXPECT_EQ(Compact(), 2u);
  EXPECT_EQ(Get()->shard.Pin()->segments.size(), 1u);
  ExpectAllIsThere();
  Open();
  ExpectAllIsThere();
  PutMany(0, 50);
  ExpectAllIsThere();
}

TEST_F(CompactionTest, RowsThatDieMeanwhileAreDeadAfterwards) {
  Open();
  PutMany(0, 300);
  DeleteEvery(0, 300, 3);
  const auto view = Get()->shard.Pin();
  const auto plan = PlanCompaction(*view, {}, {.rows_max = kSegmentRows});
  ASSERT_TRUE(plan.has_value());
  EXPECT_EQ(plan->live_rows, 200u);
  Shard& shard = Get()->shard;
  CompactionProgress progress;
  const auto merged = *engine::Compact(*view, *plan, 77, shard.segment_options(), 100, &progress);
  EXPECT_EQ(progress.rows_done.load(), 400u);
  EXPECT_EQ(merged->graph().sealed().rows, 200u);
  DeleteEvery(1, 300, 3);  // while it was made
  PutMany(2, 1);
  ASSERT_TRUE(shard.ReplaceSegments({view->segments[0].segment}, merged).ok());
  ExpectAllIsThere();
  CompactionProgress cancelled;
  cancelled.cancellation.Cancel();
  const auto later = shard.Pin();
  const auto again = PlanCompaction(*later, {}, {.rows_max = kSegmentRows});
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(engine::Compact(*later, *again, 78, shard.segment_options(), 100, &cancelled).status().code(),
            StatusCode::kCancelled);
}

TEST_F(CompactionTest, AnOpenSegmentWaitsUntilNobodyWrites) {
  Open();
  PutMany(0, 120);
  PutMany(0, 90);  // 90 of 210 are dead
  EXPECT_EQ(Compact(), 0u);
  PutMany(0, 1);
  EXPECT_EQ(Compact(), 0u);
  EXPECT_EQ(Compact(), 1u);  // nothing was written since
  EXPECT_EQ(Get()->shard.Pin()->rows, 120u);
  ExpectAllIsThere();
  PutMany(0, 60);
  PutMany(0, 60);
  PutMany(0, 60);  // 120 of 180 are dead in the open one
  EXPECT_GE(Compact(), 2u);
  EXPECT_EQ(Get()->shard.Pin()->rows, 120u);
  ExpectAllIsThere();
  PutMany(0, 120);
  DeleteEvery(0, 120, 1);  // not one is left
  (void)Compact();
  EXPECT_EQ(Get()->shard.Pin()->rows, 0u);
  PutMany(5, 20);
  Open();
  ExpectAllIsThere();
}

// Disk and memory are those of the living rows and a fifth more, whatever happened before.
TEST_F(CompactionTest, SpaceComesBack) {
  Open();
  for (int round = 0; round < 40; ++round) {
    PutMany(static_cast<int64_t>(random_.Below(2500)), 100 + static_cast<int64_t>(random_.Below(100)));
    DeleteEvery(static_cast<int64_t>(random_.Below(2500)), 2500, 20 + static_cast<int64_t>(random_.Below(20)));
    if (round % 5 == 0) {
      (void)Compact();
    }
  }
  while (Compact() + Compact() > 0) {
  }
  ASSERT_TRUE(store_->Checkpoint().ok());
  const auto view = Get()->shard.Pin();
  EXPECT_LE(view->rows, model_.size() * 12 / 10 + 50);  // fewer than that in an open segment are not worth it
  const uint64_t disk_bytes = DiskBytes();
  ExpectAllIsThere();

  const Rows living = model_;
  store_.reset();
  ASSERT_TRUE(disk_.RemoveTree("/data").ok());
  Open();
  std::vector<TestRow> rows;
  for (const auto& [id, row] : living) {
    rows.push_back(row);
  }
  ASSERT_TRUE(Put(rows).ok());
  ASSERT_TRUE(store_->Checkpoint().ok());
  EXPECT_LE(static_cast<double>(disk_bytes), 1.25 * static_cast<double>(DiskBytes()));
}

TEST_F(CompactionTest, ItsProgressCanBeSeenAndItCanBeEnded) {
  Open();
  PutMany(0, 600);
  DeleteEvery(0, 600, 2);
  EXPECT_TRUE(store_->Compactions().empty());
  EXPECT_EQ(store_->CancelCompaction("compaction-1").code(), StatusCode::kNotFound);
  EXPECT_EQ(Compact(), 2u);
  const auto jobs = store_->Compactions();
  ASSERT_EQ(jobs.size(), 2u);
  EXPECT_EQ(jobs[0].id, "compaction-1");
  EXPECT_EQ(jobs[0].collection, "a");
  EXPECT_EQ(jobs[0].state, JobState::kDone);
  EXPECT_EQ(jobs[0].done, 300u);  // copied and linked
  EXPECT_EQ(jobs[0].total, 300u);
  EXPECT_FALSE(jobs[0].eta_seconds().has_value());
  EXPECT_TRUE(store_->CancelCompaction("compaction-1").ok());  // too late: it stays
  ExpectAllIsThere();
}

TEST_F(CompactionTest, JoinsSmallSegmentsOfLikeSize) {
  Open(true);  // graphs are written when a segment is at rest: each restart then begins another segment
  for (int round = 0; round < 9; ++round) {
    PutMany(round * 70, 70);
    for (int i = 0; i < 2000 && Get()->shard.Pin()->segments.back().segment->graph().sealed().rows == 0; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    for (int i = 0; i < 2000; ++i) {
      const auto files = fs_.List("/data/segments/1").ok() ? *fs_.List("/data/segments/1") : std::vector<std::string>();
      if (std::count_if(files.begin(), files.end(), [](const auto& file) { return file.ends_with(".graph"); }) > 0) {
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    ASSERT_TRUE(store_->Checkpoint().ok());
    Open(true);
    ExpectAllIsThere();
  }
  (void)Compact();
  EXPECT_LE(Get()->shard.Pin()->segments.size(), 6u);
  ExpectAllIsThere();
  Open();
  ExpectAllIsThere();
}

// The disk dies at every change that a compaction and its checkpoint make, then the power.
TEST_F(CompactionTest, CrashesOnTheWayLoseNothing) {
  for (uint64_t nth = 1;; ++nth) {
    SCOPED_TRACE("change " + std::to_string(nth));
    store_.reset();
    (void)disk_.RemoveTree("/data");
    model_.clear();
    Open();
    PutMany(0, 700);
    if (nth % 2 == 0) {
      ASSERT_TRUE(store_->Checkpoint().ok());
    }
    DeleteEvery(0, 650, 3);
    constexpr FaultKind kKinds[] = {FaultKind::kShortWrite, FaultKind::kIoError, FaultKind::kNoSpace};
    fs_.FailAllFrom(nth, kKinds[nth % 3]);
    size_t compacted = 0;
    const Status status = store_->Compact(&compacted);
    EXPECT_EQ(compacted, 2u);
    ExpectAllIsThere();
    store_.reset();
    fs_.Heal();
    disk_.Crash(MemoryFileSystem::Unsynced::kTorn, nth);
    Open();
    ExpectAllIsThere();
    (void)Compact();
    ExpectAllIsThere();
    if (status.ok()) {
      EXPECT_GT(nth, 20u);
      return;
    }
  }
}

// Writers and readers beside compactions in the background, with restarts.
TEST_F(CompactionTest, NobodyNoticesItInTheBackground) {
  for (int life = 0; life < 3; ++life) {
    Open(true);
    std::atomic<bool> done{false};
    std::atomic<int> scans{0};
    std::thread reader([&] {
      while (!done) {
        auto found = store_->Find("a");
        if (!found.ok()) {
          continue;
        }
        auto cursor = *ScanCursor::Open((*found)->shard, {});
        const auto expected = (*found)->shard.Pin()->version;
        const Rows rows = Drain(*cursor);
        EXPECT_GE((*found)->shard.Pin()->version, expected);
        ++scans;
      }
    });
    for (int step = 0; step < 60; ++step) {
      PutMany(static_cast<int64_t>(random_.Below(2000)), 40);
      DeleteEvery(static_cast<int64_t>(random_.Below(1000)), 2000, 7 + static_cast<int64_t>(random_.Below(20)));
      if (step % 10 == 9) {
        ExpectAllIsThere();
      }
    }
    done = true;
    reader.join();
    EXPECT_GT(scans, 0);
    ExpectAllIsThere();
    for (int i = 0; i < 3000; ++i) {
      const auto view = Get()->shard.Pin();
      if (!PlanCompaction(*view, {}, {.rows_max = kSegmentRows})) {
        break;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    }
    EXPECT_LT(Get()->shard.Pin()->rows, model_.size() * 5 / 4 + kSegmentRows);
    ExpectAllIsThere();
  }
  const std::string metrics = metrics_.Render();
  EXPECT_EQ(metrics.find("longbow_compactions_total 0\n"), std::string::npos) << metrics;
}

TEST_F(CompactionTest, RowsWithoutIdsKeepTheirOrdinals) {
  const auto schema = arrow::schema({schema_->field(1), schema_->field(2)}, schema_->metadata());
  Open();
  Rows expected;
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 300; ++i) {
    rows.push_back({0, RandomVector(random_, kDimension), std::to_string(i)});
  }
  const auto batch = TestBatch(schema_, rows);
  std::promise<Status> answer;
  store_->Put("b", WithEncoding(arrow::RecordBatch::Make(schema, 300, {batch->column(1), batch->column(2)})), nullptr,
              [&](Status status) { answer.set_value(std::move(status)); });
  ASSERT_TRUE(answer.get_future().get().ok());
  std::vector<std::string> ids;
  for (int i = 0; i < 300; i += 3) {
    ids.push_back(std::to_string(i));
  }
  ASSERT_TRUE(store_->Delete("b", ids).ok());
  const auto check = [&] {
    for (int i = 1; i < 300; i += 3) {
      const auto hits = store_->SearchById("b", std::to_string(i), 1, nullptr);
      ASSERT_TRUE(hits.ok()) << hits.status().ToString();
      EXPECT_EQ(hits->front().ordinal, static_cast<uint64_t>(i));
      EXPECT_EQ(store_->SearchById("b", std::to_string(i - 1), 1, nullptr).status().code(), StatusCode::kNotFound);
    }
  };
  check();
  EXPECT_EQ(Compact(), 1u);
  check();
  Open();
  check();
}

}  // namespace
}  // namespace longbow::engine
