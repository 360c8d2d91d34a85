// The process dies at each step of a sweep of expired rows and of a compaction, up to the removal of the old files:
// nothing that lives is lost, nothing that died comes back, and the next life finishes what was begun.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "base/kill_point.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 8;
constexpr int64_t kRows = 700;
constexpr uint32_t kSegmentRows = 300;
constexpr int64_t kTtlSeconds = 60;
constexpr int64_t kThenNs = 1'700'000'000'000'000'000;                   // when rows are put
constexpr int64_t kLaterNs = kThenNs + 2 * kTtlSeconds * 1'000'000'000;  // when those of "timed" have expired

class WallClock final : public Clock {
 public:
  explicit WallClock(int64_t wall_ns) : wall_ns_(wall_ns) {}
  int64_t WallNowNs() override { return wall_ns_; }
  std::chrono::steady_clock::time_point SteadyNow() override { return std::chrono::steady_clock::now(); }

 private:
  const int64_t wall_ns_;
};

// Which hit of a point this is: each comes to it by another way.
struct Round {
  int number = 0;

  bool checkpoint_before_deletes() const { return number != 0; }
  bool checkpoint_after_deletes() const { return number != 1; }
  int64_t deleted_step() const { return 2 + number; }
  bool is_memory_short() const { return number == 3; }  // compacted in scratch files then
};

TestRow RowOf(int64_t id) {
  Random random(static_cast<uint64_t>(id) + 1);
  return {id, RandomVector(random, kDimension), "name " + std::to_string(id)};
}

// One life of a store, which checkpoints and compacts only when told to.
class OpenStore {
 public:
  OpenStore(const std::string& folder, int64_t wall_ns, const Round& round) : clock_(wall_ns) {
    StoreOptions options = TestStoreOptions(folder, kSegmentRows);
    options.tidy_files = false;
    options.compact = false;
    if (round.is_memory_short()) {
      options.memory.budget = {.size_bytes = 100 << 20, .held_bytes = [] { return uint64_t{70} << 20; }};
    }
    auto store = Store::Open({RealFileSystem(), clock_, logger_, metrics_}, options);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    if (store.ok()) {
      store_ = std::move(*store);
      while (!store_->FilesAreChecked()) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }

  // Collections "plain", of which some rows are deleted, and "timed", whose rows end.
  void Fill(const Round& round) {
    const auto plain = TestSchema(kDimension);
    Put("plain", plain);
    Put("timed",
        plain->WithMetadata(arrow::key_value_metadata({"longbow.ttl_seconds"}, {std::to_string(kTtlSeconds)})));
    if (round.checkpoint_before_deletes()) {
      EXPECT_TRUE(store_->Checkpoint().ok());
    }
    std::vector<std::string> ids;
    for (int64_t id = 0; id < kRows; id += round.deleted_step()) {
      ids.push_back(std::to_string(id));
    }
    EXPECT_TRUE(store_->Delete("plain", ids).ok());
    if (round.checkpoint_after_deletes()) {
      EXPECT_TRUE(store_->Checkpoint().ok());
    }
  }
  size_t Compact() {
    size_t compacted = 0;
    const Status status = store_->Compact(&compacted);
    EXPECT_TRUE(status.ok()) << status.ToString();
    return compacted;
  }
  void ExpectAllIsThere(const Round& round) {
    std::map<int64_t, TestRow> expected;
    for (int64_t id = 0; id < kRows; ++id) {
      if (id % round.deleted_step() != 0) {
        expected[id] = RowOf(id);
      }
    }
    EXPECT_EQ(Scan("plain"), expected);
  }
  std::map<int64_t, TestRow> Scan(const std::string& name) {
    std::map<int64_t, TestRow> rows;
    auto cursor = *ScanCursor::Open((*store_->Find(name))->shard, {});
    while (const auto batch = *cursor->Next(nullptr)) {
      for (TestRow& row : RowsOf(*batch)) {
        EXPECT_TRUE(rows.emplace(row.id, row).second) << name << ": id " << row.id << " twice";
      }
    }
    return rows;
  }
  uint64_t StoredRows(const std::string& name) { return (*store_->Find(name))->shard.Pin()->rows; }

 private:
  void Put(const std::string& name, const std::shared_ptr<arrow::Schema>& schema) {
    std::vector<TestRow> rows;
    for (int64_t id = 0; id < kRows; ++id) {
      rows.push_back(RowOf(id));
    }
    std::promise<Status> answer;
    store_->Put(name, WithEncoding(TestBatch(schema, rows)), nullptr,
                [&](Status status) { answer.set_value(std::move(status)); });
    EXPECT_TRUE(answer.get_future().get().ok());
  }

  WallClock clock_;
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
};

void DieAt(const std::string& point, const std::string& folder, const Round& round) {
  OpenStore(folder, kThenNs, round).Fill(round);
  (void)ArmKillPoint(point);  // while no thread runs
  (void)OpenStore(folder, kLaterNs, round).Compact();
  _exit(0);
}

class CompactionKillDeathTest : public testing::TestWithParam<const char*> {};

TEST_P(CompactionKillDeathTest, LosesNothing) {
  if (!kForksMayStartThreads) {
    GTEST_SKIP() << "not under ThreadSanitizer";
  }
  const std::string point = GetParam();
  for (Round round; round.number < 4; ++round.number) {
    SCOPED_TRACE("round " + std::to_string(round.number));
    const std::string folder = testing::TempDir() + "longbow_" + point + std::to_string(getpid());
    std::filesystem::remove_all(folder);
    EXPECT_EXIT(DieAt(point + ":1", folder, round), testing::KilledBySignal(SIGKILL), "");
    {
      // With the clock set back: what was swept stays gone, what was not is still there.
      OpenStore store(folder, kThenNs, round);
      store.ExpectAllIsThere(round);
      EXPECT_EQ(store.Scan("timed").size(), point == "expiry.begin" ? static_cast<size_t>(kRows) : 0u);
    }
    {
      OpenStore store(folder, kLaterNs, round);
      store.ExpectAllIsThere(round);
      EXPECT_TRUE(store.Scan("timed").empty());
      (void)store.Compact();
      EXPECT_EQ(store.Compact(), 0u);
      EXPECT_LT(store.StoredRows("plain"), static_cast<uint64_t>(kRows));
      EXPECT_LE(store.StoredRows("timed"), kSegmentRows);
      store.ExpectAllIsThere(round);
    }
    OpenStore(folder, kLaterNs, round).ExpectAllIsThere(round);
    std::filesystem::remove_all(folder);
  }
}

INSTANTIATE_TEST_SUITE_P(Steps, CompactionKillDeathTest,
                         testing::Values("expiry.begin", "expiry.applied", "compaction.begin", "compaction.copied",
                                         "compaction.replaced", "segment.synced", "mapped.synced",
                                         "deleted_rows.synced", "manifest.begin", "manifest.written",
                                         "unnamed.file.remove", "checkpoint.written", "compaction.written"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace longbow::engine
