// Rows counted, deleted and updated by filter: what readers see, what a restart finds, and every step to die at.
#include <arrow/api.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <map>
#include <thread>

#include "base/kill_point.h"
#include "base/memory_file_system.h"
#include "engine/fetch.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

using Op = Predicate::Op;

constexpr int kDimension = 8;
constexpr int64_t kRows = 500;

Predicate Where(Op op, const std::string& field, std::vector<std::string> values) {
  return {.op = op, .field = field, .values = std::move(values), .children = {}};
}

TestRow RowOf(int64_t id) {
  Random random(static_cast<uint64_t>(id) + 1);
  return {id, RandomVector(random, kDimension), "group " + std::to_string(id % 5)};
}

// A store with a collection "a" of kRows rows.
class OpenStore {
 public:
  OpenStore(FileSystem& fs, const std::string& folder) {
    StoreOptions options = TestStoreOptions(folder, 200);
    options.tidy_files = false;
    options.compact = false;
    auto store = Store::Open({fs, RealClock(), logger_, metrics_}, options);
    EXPECT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }
  Store& operator*() { return *store_; }
  Store* operator->() { return store_.get(); }

  Status Put(const std::shared_ptr<arrow::RecordBatch>& rows, const std::string& name = "a") {
    std::promise<Status> answer;
    store_->Put(name, WithEncoding(rows), nullptr, [&](Status status) { answer.set_value(std::move(status)); });
    return answer.get_future().get();
  }
  void Fill() {
    std::vector<TestRow> rows;
    for (int64_t id = 0; id < kRows; ++id) {
      rows.push_back(RowOf(id));
    }
    EXPECT_TRUE(Put(TestBatch(TestSchema(kDimension), rows)).ok());
  }
  std::map<int64_t, TestRow> Scan() {
    std::map<int64_t, TestRow> rows;
    auto cursor = *ScanCursor::Open((*store_->Find("a"))->shard, {});
    while (const auto batch = *cursor->Next(nullptr)) {
      for (TestRow& row : RowsOf(*batch)) {
        EXPECT_TRUE(rows.emplace(row.id, row).second) << "id " << row.id << " twice";
      }
    }
    return rows;
  }

 private:
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};
  Metrics metrics_;
  std::unique_ptr<Store> store_;
};

std::map<int64_t, TestRow> Rows(const std::string& deleted_group, const std::string& renamed_group,
                                const std::string& new_name) {
  std::map<int64_t, TestRow> rows;
  for (int64_t id = 0; id < kRows; ++id) {
    TestRow row = RowOf(id);
    if (row.name == deleted_group) {
      continue;
    }
    if (row.name == renamed_group) {
      row.name = new_name;
    }
    rows[id] = row;
  }
  return rows;
}

TEST(StoreRows, CountsDeletesAndUpdatesByFilter) {
  MemoryFileSystem disk;
  std::optional<OpenStore> store(std::in_place, disk, "/data");
  store->Fill();
  EXPECT_EQ(*(*store)->Count("a", {}, nullptr), 500u);
  EXPECT_EQ(*(*store)->Count("a", Where(Op::kEq, "name", {"group 1"}), nullptr), 100u);
  EXPECT_EQ(*(*store)->Count("a", Where(Op::kIn, "id", {"1", "2", "9999", "2"}), nullptr), 2u);
  EXPECT_EQ(*(*store)->DeleteWhere("a", Where(Op::kEq, "name", {"group 1"}), nullptr), 100u);
  EXPECT_EQ(*(*store)->DeleteWhere("a", Where(Op::kEq, "name", {"group 1"}), nullptr), 0u);
  EXPECT_EQ(*(*store)->Count("a", {}, nullptr), 400u);
  EXPECT_EQ(*(*store)->Update("a", {}, Where(Op::kEq, "name", {"group 2"}), {{"name", std::string("new")}}, nullptr),
            100u);
  const auto expected = Rows("group 1", "group 2", "new");
  EXPECT_EQ(store->Scan(), expected);
  for (const std::string id : {"2", "497"}) {  // vector and id are what they were
    const auto hits = (*store)->SearchById("a", id, 1, nullptr);
    ASSERT_TRUE(hits.ok());
    EXPECT_EQ(std::to_string(hits->front().id), id);
    EXPECT_FLOAT_EQ(hits->front().score, 1.0f);
  }
  store.reset();
  store.emplace(disk, "/data");  // from the log
  EXPECT_EQ(store->Scan(), expected);
  ASSERT_TRUE((*store)->Checkpoint().ok());
  size_t compacted = 0;
  EXPECT_TRUE((*store)->Compact(&compacted).ok());
  EXPECT_EQ(store->Scan(), expected);
  EXPECT_EQ(*(*store)->Update("a", {"7", "12", "7"}, {}, {{"name", PayloadValue()}}, nullptr), 2u);
  EXPECT_EQ(*(*store)->Count("a", Where(Op::kIsNull, "name", {}), nullptr), 2u);
}

TEST(StoreRows, RefusesWhatCannotBeSet) {
  MemoryFileSystem disk;
  OpenStore store(disk, "/data");
  store.Fill();
  const auto code = [&](const std::vector<std::string>& ids, const std::vector<PayloadColumn>& values) {
    return store->Update("a", ids, {}, values, nullptr).status().code();
  };
  const PayloadColumn name{"name", std::string("x")};
  EXPECT_EQ(code({"1"}, {{"nothing", std::string("x")}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"1"}, {{"id", int64_t{5}}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"1"}, {{"vector", int64_t{5}}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"1"}, {{"name", int64_t{5}}}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"1"}, {name, name}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"1"}, {}), StatusCode::kInvalidArgument);
  EXPECT_EQ(code({"1", "777"}, {name}), StatusCode::kNotFound);
  EXPECT_EQ(store->Update("b", {"1"}, {}, {name}, nullptr).status().code(), StatusCode::kNotFound);
  EXPECT_EQ(store->DeleteOrdinal("a", 500).code(), StatusCode::kNotFound);
  EXPECT_EQ(store.Scan(), Rows("", "", "")) << "a refused request changes nothing";
  EXPECT_TRUE(store->DeleteOrdinal("a", 3).ok());
  EXPECT_TRUE(store->DeleteOrdinal("a", 3).ok());
  EXPECT_EQ(*store->Count("a", {}, nullptr), 499u);
}

TEST(StoreRows, RowsWithoutIdsAreNotUpdated) {
  MemoryFileSystem disk;
  OpenStore store(disk, "/data");
  const auto rows = TestBatch(TestSchema(kDimension), {RowOf(1), RowOf(2)});
  ASSERT_TRUE(store.Put(*rows->RemoveColumn(0), "plain").ok());
  EXPECT_EQ(store->Update("plain", {"0"}, {}, {{"name", std::string("x")}}, nullptr).status().code(),
            StatusCode::kFailedPrecondition);
  EXPECT_EQ(*store->DeleteWhere("plain", Where(Op::kEq, "name", {"group 2"}), nullptr), 1u);
  EXPECT_EQ(*store->Count("plain", {}, nullptr), 1u);
}

// Increments that read and write by filter: one that passed twice, or was lost, would show in the sum.
TEST(StoreRows, UpdatesByFilterDoNotRace) {
  MemoryFileSystem disk;
  OpenStore store(disk, "/data");
  store.Fill();
  constexpr int kThreads = 4;
  constexpr int kClaims = 40;
  std::atomic<int> claimed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kClaims; ++i) {
        Predicate free{.op = Op::kAnd, .field = {}, .values = {}, .children = {}};
        free.children = {Where(Op::kEq, "id", {std::to_string(i)}),
                         Where(Op::kEq, "name", {"group " + std::to_string(i % 5)})};
        const auto updated = store->Update("a", {}, free, {{"name", std::string("taken")}}, nullptr);
        ASSERT_TRUE(updated.ok()) << updated.status().ToString();
        claimed += static_cast<int>(*updated);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(claimed, kClaims) << "each row is free for one of the threads only";
}

void DieAt(const std::string& point, const std::string& folder) {
  OpenStore store(RealFileSystem(), folder);
  store.Fill();
  (void)ArmKillPoint(point);
  const Predicate group = Where(Op::kEq, "name", {"group 3"});
  if (point.starts_with("update")) {
    (void)store->Update("a", {}, group, {{"name", std::string("new")}}, nullptr);
  } else {
    (void)store->DeleteWhere("a", group, nullptr);
  }
  _exit(0);
}

class StoreRowsKillDeathTest : public testing::TestWithParam<const char*> {};

TEST_P(StoreRowsKillDeathTest, AllOrNothing) {
  if (!kForksMayStartThreads) {
    GTEST_SKIP() << "not under ThreadSanitizer";
  }
  const std::string point = GetParam();
  const std::string folder = testing::TempDir() + "longbow_rows_" + point + std::to_string(getpid());
  std::filesystem::remove_all(folder);
  EXPECT_EXIT(DieAt(point + ":1", folder), testing::KilledBySignal(SIGKILL), "");
  const auto after = point.starts_with("update") ? Rows("", "group 3", "new") : Rows("group 3", "", "");
  for (int life = 0; life < 2; ++life) {
    OpenStore store(RealFileSystem(), folder);
    EXPECT_EQ(store.Scan(), point.ends_with("begin") ? Rows("", "", "") : after);
  }
  std::filesystem::remove_all(folder);
}

INSTANTIATE_TEST_SUITE_P(Steps, StoreRowsKillDeathTest,
                         testing::Values("update.begin", "update.applied", "delete_where.begin",
                                         "delete_where.applied"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::replace(name.begin(), name.end(), '.', '_');
                           return name;
                         });

}  // namespace
}  // namespace longbow::engine
