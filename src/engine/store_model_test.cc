// A store against a model in memory: random operations, restarts, dying disks. After qdrant's model testing (nightly
// 200,000 operations, a restart at each with probability 0.001) and RocksDB's expected-state test.
//
// LONGBOW_TEST_SEED repeats a run, LONGBOW_TEST_OPERATIONS sets its length.
#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <map>
#include <random>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "engine/scan.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"
#include "model/expiry.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 4;
constexpr uint64_t kIds = 1'000;  // per collection: old ones are replaced and deleted again and again

uint64_t NumberFromEnvironment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

uint64_t TestSeed() {
  const uint64_t seed = NumberFromEnvironment("LONGBOW_TEST_SEED", std::random_device()());
  std::printf("seed %llu: repeat with LONGBOW_TEST_SEED=%llu\n", static_cast<unsigned long long>(seed),
              static_cast<unsigned long long>(seed));
  testing::Test::RecordProperty("seed", std::to_string(seed));
  return seed;
}

// Fewer where each costs ten times as much, and where the suite is repeated for another instruction set.
uint64_t DefaultOperations() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return 10'000;
#else
  return std::getenv("LONGBOW_ISA") == nullptr ? 200'000 : 10'000;
#endif
}

struct ModelRow {
  TestRow row;
  int64_t end_ns = kNeverNs;

  bool operator==(const ModelRow&) const = default;
};
using Rows = std::map<int64_t, ModelRow>;

// The wall clock is the story's and goes forth only: what happens to rows if it is set back is expiry_test's matter.
class StoryClock final : public Clock {
 public:
  int64_t WallNowNs() override { return wall_ns_; }
  std::chrono::steady_clock::time_point SteadyNow() override { return std::chrono::steady_clock::now(); }
  void Advance(int64_t step_ns) { wall_ns_ += step_ns; }

 private:
  std::atomic<int64_t> wall_ns_{1'700'000'000'000'000'000};
};

// A store on a disk that fails and dies, and what must be in it. For one thread.
class Story {
 public:
  explicit Story(uint64_t seed) : random_(seed) { Open(); }

  void Step();
  void CheckEverything();

  // The disk dies at its `point`-th change from now on, in the middle of random operations, then the power.
  void LosePowerWhileWriting(uint64_t point);

  uint64_t restarts() const { return restarts_; }
  uint64_t failures() const { return failures_; }
  uint64_t acknowledged() const { return acknowledged_; }
  uint64_t uncertain() const { return uncertain_; }

 private:
  enum class End { kClean, kKilled, kPowerCut, kTorn };

  void Open();
  void Restart(End end);
  void FailAndRecover();
  void CheckOne(const std::string& name);
  void CheckCollection(const std::string& name);
  Rows Scan(const std::string& name);

  void Put(const std::string& name);
  void Delete(const std::string& name);
  void DeleteWhere(const std::string& name);
  void Update(const std::string& name);
  void WriteSomething(const std::string& name);
  // A filter for a few neighbouring ids, and those of them that live.
  std::pair<Predicate, std::vector<int64_t>> SomeIds(const std::string& name);
  // Takes the change into the model if it was acknowledged. A refused one may come back with a restart: see pending_.
  void Settle(const std::string& name, const Status& status, Rows changed, std::vector<int64_t> gone);

  // Collections c2 and c3 expire: a row lives for an hour of the story's time.
  static bool Expires(const std::string& name) { return name >= "c2"; }
  static constexpr int64_t kLifeNs = 3'600'000'000'000;
  // Takes out of the model what has ended by now.
  Rows& Living(const std::string& name) {
    Rows& rows = model_[name];
    std::erase_if(rows, [&](const auto& entry) { return entry.second.end_ns <= clock_.WallNowNs(); });
    return rows;
  }

  std::string AnyName() { return "c" + std::to_string(random_.Below(4)); }

  Random random_;
  MemoryFileSystem memory_;
  FaultFileSystem fs_{memory_};
  Logger logger_{{.level = LogLevel::kError, .sink = [](std::string_view) {}}};  // failures are made here on purpose
  Metrics metrics_;
  StoryClock clock_;
  const std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  const std::shared_ptr<arrow::Schema> expiring_schema_ = schema_->WithMetadata(
      arrow::key_value_metadata({"longbow.ttl_seconds"}, {std::to_string(kLifeNs / 1'000'000'000)}));
  std::unique_ptr<Store> store_;

  std::map<std::string, Rows> model_;
  // A change that was refused while the disk failed: after a restart either it is there or it is not. Only the first
  // one: after it nothing reaches the disk.
  struct Pending {
    std::string name;
    Rows rows;  // the collection as it would be
  };
  std::optional<Pending> pending_;
  bool disk_is_bad_ = false;
  uint64_t restarts_ = 0;
  uint64_t failures_ = 0;
  uint64_t acknowledged_ = 0;
  uint64_t uncertain_ = 0;
};

void Story::Open() {
  StoreOptions options = TestStoreOptions("/data", 700);
  options.segment.graph = {.first_rows = 600};  // graphs are not what is tested here
  options.log_file_size_bytes = 32 << 10;
  auto store = Store::Open({fs_, clock_, logger_, metrics_}, options);
  ASSERT_TRUE(store.ok()) << store.status().ToString();
  store_ = std::move(*store);
}

void Story::Restart(End end) {
  if (end != End::kClean) {
    fs_.FailAllFrom(1, FaultKind::kIoError);  // what still runs reaches the disk no more
  }
  store_.reset();
  fs_.Heal();
  disk_is_bad_ = false;
  if (end == End::kPowerCut || end == End::kTorn) {
    memory_.Crash(end == End::kTorn ? MemoryFileSystem::Unsynced::kTorn : MemoryFileSystem::Unsynced::kForgotten,
                  random_.Next());
  }
  Open();
  ASSERT_FALSE(testing::Test::HasFatalFailure());
  ++restarts_;
  if (pending_) {
    const Rows found = Scan(pending_->name);
    std::erase_if(pending_->rows, [&](const auto& entry) { return entry.second.end_ns <= clock_.WallNowNs(); });
    if (found == pending_->rows) {
      ++uncertain_;
      model_[pending_->name] = found;
    }
    pending_.reset();
  }
  CheckEverything();
}

Rows Story::Scan(const std::string& name) {
  Rows rows;
  const auto collection = store_->Find(name);
  if (!collection.ok()) {
    return rows;
  }
  auto cursor = *ScanCursor::Open((*collection)->shard, {});
  while (const auto batch = *cursor->Next(nullptr)) {
    const auto ends = batch->GetColumnByName("expires_at");
    int64_t at = 0;
    for (TestRow& row : RowsOf(*batch)) {
      const int64_t end_ns = ends == nullptr ? kNeverNs : ExpiryNsAt(*ends, at++);
      EXPECT_TRUE(rows.emplace(row.id, ModelRow{row, end_ns}).second) << "id " << row.id << " twice";
    }
  }
  return rows;
}

void Story::CheckCollection(const std::string& name) {
  const Rows found = Scan(name);
  const Rows& expected = Living(name);
  size_t lost = 0;
  size_t phantom = 0;
  for (const auto& [id, row] : expected) {
    const auto at = found.find(id);
    lost += at == found.end() || at->second != row ? 1 : 0;
  }
  for (const auto& [id, row] : found) {
    phantom += expected.contains(id) ? 0 : 1;
  }
  ASSERT_TRUE(lost == 0 && phantom == 0) << name << ": " << lost << " rows lost or old, " << phantom << " phantoms, "
                                         << expected.size() << " expected";
}

void Story::CheckEverything() {
  for (int i = 0; i < 4; ++i) {
    CheckCollection("c" + std::to_string(i));
  }
}

void Story::CheckOne(const std::string& name) {
  const auto collection = store_->Find(name);
  const int64_t id = static_cast<int64_t>(random_.Below(kIds));
  const Rows& rows = Living(name);
  const auto row = rows.find(id);
  if (!collection.ok()) {
    ASSERT_TRUE(rows.empty()) << name << " is gone";
    return;
  }
  const Shard::Located located = (*collection)->shard.Locate(RowKey(static_cast<uint64_t>(id)));
  ASSERT_EQ(located.live, row != rows.end()) << name << " row " << id;
  ASSERT_EQ((*collection)->shard.PinNow()->CountLive(), rows.size());
  if (row != rows.end() && random_.Below(8) == 0) {
    SearchRequest request;
    request.collection = name;
    request.k = 1;
    const auto hits = store_->SearchById(name, std::to_string(id), 1, nullptr);
    ASSERT_TRUE(hits.ok()) << hits.status().ToString();
    ASSERT_EQ(hits->size(), 1u);
    ASSERT_FLOAT_EQ(hits->front().score, 1.0f) << name << " row " << id << " is not its own nearest neighbour";
  }
}

void Story::Settle(const std::string& name, const Status& status, Rows changed, std::vector<int64_t> gone) {
  if (!status.ok()) {
    ASSERT_TRUE(disk_is_bad_) << status.ToString();
    ASSERT_TRUE(status.code() == StatusCode::kUnavailable || status.code() == StatusCode::kResourceExhausted)
        << status.ToString();
    ++failures_;
  }
  Rows next = Living(name);
  for (auto& [id, row] : changed) {
    next[id] = row;
  }
  for (const int64_t id : gone) {
    next.erase(id);
  }
  if (status.ok()) {
    ++acknowledged_;
    model_[name] = std::move(next);
  } else if (!pending_ && status.code() == StatusCode::kUnavailable) {
    pending_ = Pending{name, std::move(next)};
  }
}

void Story::Put(const std::string& name) {
  Rows rows;
  for (uint64_t i = 1 + random_.Below(6); i > 0; --i) {
    const int64_t id = static_cast<int64_t>(random_.Below(kIds));
    rows[id] = {{id, RandomVector(random_, kDimension), std::to_string(random_.Next())},
                Expires(name) ? clock_.WallNowNs() + kLifeNs : kNeverNs};
  }
  std::vector<TestRow> batch;
  for (const auto& [id, row] : rows) {
    batch.push_back(row.row);
  }
  std::promise<Status> answer;
  store_->Put(name, WithEncoding(TestBatch(Expires(name) ? expiring_schema_ : schema_, batch)), nullptr,
              [&](Status status) { answer.set_value(std::move(status)); });
  Settle(name, answer.get_future().get(), std::move(rows), {});
}

void Story::Delete(const std::string& name) {
  const Rows& rows = Living(name);
  if (rows.empty()) {
    return;
  }
  const auto victim = rows.lower_bound(static_cast<int64_t>(random_.Below(kIds)));
  const int64_t id = victim == rows.end() ? rows.begin()->first : victim->first;
  Settle(name, store_->Delete(name, {std::to_string(id)}), {}, {id});
}

std::pair<Predicate, std::vector<int64_t>> Story::SomeIds(const std::string& name) {
  const auto first = static_cast<int64_t>(random_.Below(kIds));
  const int64_t last = first + static_cast<int64_t>(random_.Below(12));
  Predicate filter{.op = Predicate::Op::kBetween,
                   .field = "id",
                   .values = {std::to_string(first), std::to_string(last)},
                   .children = {}};
  std::vector<int64_t> ids;
  const Rows& rows = Living(name);
  for (auto row = rows.lower_bound(first); row != rows.end() && row->first <= last; ++row) {
    ids.push_back(row->first);
  }
  return {std::move(filter), std::move(ids)};
}

void Story::DeleteWhere(const std::string& name) {
  const auto [filter, ids] = SomeIds(name);
  if (!store_->Find(name).ok()) {
    return;
  }
  const auto counted = store_->Count(name, filter, nullptr);
  ASSERT_TRUE(counted.ok()) << counted.status().ToString();
  ASSERT_EQ(*counted, ids.size()) << name;
  const auto deleted = store_->DeleteWhere(name, filter, nullptr);
  if (deleted.ok()) {
    ASSERT_EQ(*deleted, ids.size()) << name;
  }
  Settle(name, deleted.status(), {}, ids);
}

// By filter, or by one id; ids, vectors and ends stay.
void Story::Update(const std::string& name) {
  auto [filter, ids] = SomeIds(name);
  if (!store_->Find(name).ok() || ids.empty()) {
    return;
  }
  std::vector<std::string> by_id;
  if (random_.Below(2) == 0) {
    ids.resize(1);
    by_id = {std::to_string(ids.front())};
  }
  const std::string value = "updated " + std::to_string(random_.Next());
  const auto updated = store_->Update(name, by_id, filter, {{"name", value}}, nullptr);
  if (updated.ok()) {
    ASSERT_EQ(*updated, ids.size()) << name;
  }
  Rows changed;
  for (const int64_t id : ids) {
    changed[id] = Living(name).at(id);
    changed[id].row.name = value;
  }
  Settle(name, updated.status(), std::move(changed), {});
}

void Story::WriteSomething(const std::string& name) {
  switch (random_.Below(8)) {
    case 0:
      return Delete(name);
    case 1:
      return DeleteWhere(name);
    case 2:
      return Update(name);
    default:
      return Put(name);
  }
}

// The disk fails under writes; reads go on. Then it is back: either the log recovers, and nothing of what was refused
// is ever seen again, or the process ends first, and the one write that met the failure may be there.
void Story::FailAndRecover() {
  fs_.FailAllFrom(1 + random_.Below(8), static_cast<FaultKind>(random_.Below(3)));
  disk_is_bad_ = true;
  const uint64_t before = failures_;
  while (failures_ < before + 3) {
    const std::string name = AnyName();
    WriteSomething(name);
    ASSERT_FALSE(testing::Test::HasFatalFailure());
  }
  ASSERT_FALSE(store_->WriteHealth().ok());
  CheckEverything();
  if (random_.Below(3) == 0) {
    Restart(static_cast<End>(random_.Below(4)));
    return;
  }
  ASSERT_FALSE(store_->RecoverLog().ok()) << "the disk is still bad";
  fs_.Heal();
  disk_is_bad_ = false;
  const Status recovered = store_->RecoverLog();
  ASSERT_TRUE(recovered.ok()) << recovered.ToString();
  ASSERT_TRUE(store_->WriteHealth().ok());
  pending_.reset();
  CheckEverything();
}

void Story::LosePowerWhileWriting(uint64_t point) {
  fs_.FailAllFrom(point, static_cast<FaultKind>(random_.Below(3)));
  disk_is_bad_ = true;
  for (int i = 0; i < 40 && failures_ == 0; ++i) {
    const std::string name = AnyName();
    const uint64_t dice = random_.Below(20);
    if (dice == 0) {
      (void)store_->Checkpoint();
    } else {
      WriteSomething(name);
    }
    ASSERT_FALSE(testing::Test::HasFatalFailure());
  }
  Restart(random_.Below(2) == 0 ? End::kPowerCut : End::kTorn);
}

void Story::Step() {
  const uint64_t dice = random_.Below(10'000);
  clock_.Advance(random_.Below(1'000) == 0 ? kLifeNs / 2 : 1'000'000'000);
  const std::string name = AnyName();
  if (dice < 5'500) {
    Put(name);
  } else if (dice < 6'700) {
    Delete(name);
  } else if (dice < 6'900) {
    DeleteWhere(name);
  } else if (dice < 7'800) {
    Update(name);
  } else if (dice < 9'920) {
    CheckOne(name);
  } else if (dice < 9'930) {
    const Status status = store_->ExpireRows();
    ASSERT_TRUE(status.ok()) << status.ToString();
  } else if (dice < 9'960) {
    const Status status = store_->Checkpoint();
    ASSERT_TRUE(status.ok()) << status.ToString();
  } else if (dice < 9'980) {
    const bool exists = store_->Find(name).ok();
    const Status status = store_->DropCollection(name);
    ASSERT_EQ(status.ok(), exists) << status.ToString();
    model_[name].clear();
  } else if (dice < 9'990) {
    FailAndRecover();
  } else {
    Restart(static_cast<End>(random_.Below(4)));
  }
}

TEST(StoreModel, RandomOperationsWithRestarts) {
  const uint64_t operations = NumberFromEnvironment("LONGBOW_TEST_OPERATIONS", DefaultOperations());
  const uint64_t seed = TestSeed();
  const auto begin = std::chrono::steady_clock::now();
  Story story(seed);
  for (uint64_t i = 0; i < operations; ++i) {
    story.Step();
    ASSERT_FALSE(HasFailure()) << "operation " << i << ", seed " << seed;
  }
  story.CheckEverything();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf(
      "%llu operations, %llu writes acknowledged, %llu refused, %llu restarts, %.0f s: 0 rows lost, 0 phantoms\n",
      static_cast<unsigned long long>(operations), static_cast<unsigned long long>(story.acknowledged()),
      static_cast<unsigned long long>(story.failures()), static_cast<unsigned long long>(story.restarts()),
      took.count());
  EXPECT_GT(story.restarts(), operations / 2'000);
  EXPECT_GT(story.failures(), operations / 2'000);
}

TEST(StoreModel, UnsyncedDataIsLost) {
  constexpr int kCases = 300;
  const uint64_t seed = TestSeed();
  uint64_t acknowledged = 0;
  uint64_t uncertain = 0;
  for (int i = 0; i < kCases; ++i) {
    SCOPED_TRACE(testing::Message() << "case " << i << " of seed " << seed);
    Story story(seed + static_cast<uint64_t>(i));
    story.LosePowerWhileWriting(1 + static_cast<uint64_t>(i) % 60);
    ASSERT_FALSE(HasFailure());
    story.CheckEverything();
    acknowledged += story.acknowledged();
    uncertain += story.uncertain();
  }
  std::printf("%d power cuts, %llu writes acknowledged before, %llu unacknowledged ones found whole: 0 rows lost\n",
              kCases, static_cast<unsigned long long>(acknowledged), static_cast<unsigned long long>(uncertain));
  EXPECT_GT(acknowledged, 1'000u) << "the test has to test something";
}

}  // namespace
}  // namespace longbow::engine
