// Rows that end: exactly when, whoever asks and however, before and after a sweep, with a clock that jumps.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "engine/scan.h"
#include "engine/search.h"
#include "engine/shard.h"
#include "engine/test_rows.h"
#include "model/expiry.h"

namespace longbow::engine {
namespace {

using std::chrono::hours;
using std::chrono::nanoseconds;
using std::chrono::seconds;
using Op = Predicate::Op;

constexpr int kDimension = 8;
constexpr int64_t kSecondNs = 1'000'000'000;

class ExpiryTest : public ::testing::Test {
 protected:
  explicit ExpiryTest(const std::string& ttl_seconds = "10") : schema_(SchemaOf(ttl_seconds)) {
    SegmentOptions options = TestSegmentOptions(1024);
    options.clock = &clock_;
    shard_ = std::make_unique<Shard>(ShardId{1}, *CollectionSchema::FromArrow(schema_), options);
  }

  static std::shared_ptr<arrow::Schema> SchemaOf(const std::string& ttl_seconds) {
    const auto plain = TestSchema(kDimension);
    return plain->WithMetadata(
        arrow::key_value_metadata({"longbow.ttl_seconds", "longbow.expires_at"}, {ttl_seconds, "ends"}));
  }

  // Ids from `first` on; `ends`: null where a row says nothing.
  void Put(int64_t first, const std::vector<std::optional<int64_t>>& ends_ns) {
    std::vector<TestRow> rows;
    arrow::TimestampBuilder times(arrow::timestamp(arrow::TimeUnit::MICRO, "UTC"), arrow::default_memory_pool());
    for (size_t i = 0; i < ends_ns.size(); ++i) {
      const int64_t id = first + static_cast<int64_t>(i);
      rows.push_back({id, RandomVector(random_, kDimension), std::to_string(id % 7)});
      vectors_[id] = rows.back().vector;
      ASSERT_TRUE((ends_ns[i] ? times.Append(*ends_ns[i] / 1000) : times.AppendNull()).ok());
    }
    auto batch = TestBatch(schema_, rows);
    batch = *batch->AddColumn(3, arrow::field("ends", times.type()), *times.Finish());
    ASSERT_TRUE(shard_->ApplyRows(batch, Next(), clock_.WallNowNs()).ok());
  }
  void PutPlain(int64_t first, size_t count) { Put(first, std::vector<std::optional<int64_t>>(count)); }
  void Sweep() { shard_->ApplyExpire(clock_.WallNowNs(), Next()); }
  LogIndex Next() { return LogIndex{++index_}; }

  std::set<int64_t> Scanned(const Predicate& filter = {}) {
    ScanRequest request;
    request.filter = filter;
    auto cursor = *ScanCursor::Open(*shard_, request);
    std::set<int64_t> ids;
    while (const auto batch = *cursor->Next(nullptr)) {
      for (const TestRow& row : RowsOf(*batch)) {
        EXPECT_TRUE(ids.insert(row.id).second);
      }
    }
    return ids;
  }
  std::set<int64_t> Searched(int64_t k, const Predicate& filter = {}) {
    SearchRequest request;
    request.vectors = {RandomVector(random_, kDimension)};
    request.k = k;
    request.filter = filter;
    std::set<int64_t> ids;
    const std::vector<QueryResult> results = *Search(*shard_->PinNow(), request, {.ef = 32}, nullptr);
    for (const Hit& hit : results.front().hits) {
      EXPECT_TRUE(ids.insert(static_cast<int64_t>(hit.id)).second);
    }
    return ids;
  }
  bool IsLive(int64_t id) { return shard_->Locate(RowKey(static_cast<uint64_t>(id))).live; }
  // Every way to ask gives the same ids.
  void ExpectRows(const std::set<int64_t>& expected) {
    EXPECT_EQ(Scanned(), expected);
    EXPECT_EQ(shard_->PinNow()->CountLive(), expected.size());
    EXPECT_EQ(Searched(10'000), expected);
    std::set<int64_t> sevens;
    std::vector<std::string> all;
    for (const auto& [id, vector] : vectors_) {
      EXPECT_EQ(IsLive(id), expected.contains(id)) << id;
      all.push_back(std::to_string(id));
    }
    for (const int64_t id : expected) {
      if (id % 7 == 3) {
        sevens.insert(id);
      }
    }
    EXPECT_EQ(Scanned({Op::kIn, "id", all, {}}), expected);
    EXPECT_EQ(Scanned({Op::kEq, "name", {"3"}, {}}), sevens);
    EXPECT_EQ(Searched(10'000, {Op::kEq, "name", {"3"}, {}}), sevens);
  }
  void LinkAll() {
    for (const SegmentView& segment : shard_->Pin()->segments) {
      SegmentGraph& graph = segment.segment->graph();
      for (auto work = graph.ClaimWork(segment.rows); !work.empty(); work = graph.ClaimWork(segment.rows)) {
        graph.Link(work, nullptr);
      }
      while (graph.Maintain(segment.rows, {.threads = 1, .cancellation = nullptr})) {
      }
    }
  }

  FakeClock clock_;
  const std::shared_ptr<arrow::Schema> schema_;
  std::unique_ptr<Shard> shard_;
  std::map<int64_t, std::vector<float>> vectors_;
  uint64_t index_ = 1;
  Random random_{19};
};

class ColumnExpiryTest : public ExpiryTest {
 protected:
  ColumnExpiryTest() : ExpiryTest("0") {}
};

TEST_F(ExpiryTest, RowsAreGoneAtTheirTimeAndNotBefore) {
  PutPlain(1, 3);
  clock_.JumpWall(seconds(5));
  PutPlain(4, 2);
  clock_.JumpWall(seconds(5) - nanoseconds(1));
  ExpectRows({1, 2, 3, 4, 5});
  clock_.JumpWall(nanoseconds(1));
  ExpectRows({4, 5});
  Sweep();
  ExpectRows({4, 5});
  EXPECT_EQ(shard_->Pin()->live_rows, 2u);
  clock_.JumpWall(hours(1));
  ExpectRows({});
  PutPlain(2, 1);
  ExpectRows({2});
}

TEST_F(ExpiryTest, ARowsOwnTimeGoesBeforeTheCollections) {
  const int64_t now_ns = clock_.WallNowNs();
  Put(1, {now_ns + kSecondNs, std::nullopt, now_ns + 100 * kSecondNs, kNeverNs, now_ns, 0});
  ExpectRows({1, 2, 3, 4});
  clock_.JumpWall(seconds(1));
  ExpectRows({2, 3, 4});
  clock_.JumpWall(seconds(9));
  ExpectRows({3, 4});
  Sweep();
  ExpectRows({3, 4});
  clock_.JumpWall(seconds(90));
  ExpectRows({4});
}

TEST_F(ColumnExpiryTest, WithoutATimeToLiveRowsWithoutATimeStay) {
  Put(1, {std::nullopt, clock_.WallNowNs() + kSecondNs});
  clock_.JumpWall(hours(100'000));
  ExpectRows({1});
}

TEST_F(ExpiryTest, AViewIsAsOfWhenItWasPinned) {
  PutPlain(1, 4);
  const auto before = shard_->PinNow();
  clock_.JumpWall(seconds(10));
  const auto after = shard_->PinNow();
  Sweep();
  EXPECT_EQ(before->CountLive(), 4u);
  EXPECT_EQ(after->CountLive(), 0u);
  EXPECT_TRUE(before->IsLive(2));
  EXPECT_FALSE(after->IsLive(2)) << "the sweep came after the view and must not bring the row back into it";
}

TEST_F(ExpiryTest, AClockThatIsSetBackDelaysAndNeverBringsASweptRowBack) {
  PutPlain(1, 2);
  clock_.JumpWall(seconds(4));
  PutPlain(3, 2);
  clock_.JumpWall(seconds(6));
  Sweep();  // 1 and 2
  clock_.JumpWall(-hours(24));
  ExpectRows({3, 4});
  PutPlain(5, 1);
  Sweep();
  clock_.JumpWall(seconds(10));
  ExpectRows({3, 4});
  clock_.JumpWall(hours(24));
  ExpectRows({});
}

TEST_F(ExpiryTest, ReplacedAndDeletedRowsOfAnEarlierTimeChangeNothing) {
  PutPlain(1, 3);
  clock_.JumpWall(seconds(6));
  PutPlain(2, 1);
  shard_->ApplyDelete({RowKey(uint64_t{3})}, Next());
  clock_.JumpWall(seconds(6));
  ExpectRows({2});
  Sweep();
  EXPECT_EQ(shard_->Pin()->expired_rows, 1u);
  EXPECT_EQ(shard_->Pin()->next_expiry_ns, clock_.WallNowNs() + 4 * kSecondNs) << "only row 2 is left to end";
}

TEST_F(ExpiryTest, AsManyRowsAsExistComeBackWhateverHasExpired) {
  std::vector<std::optional<int64_t>> ends;
  std::set<int64_t> staying;
  for (int64_t id = 0; id < 3000; ++id) {
    const bool ends_soon = random_.Below(100) < 90;
    ends.push_back(clock_.WallNowNs() + (ends_soon ? kSecondNs : 1000 * kSecondNs));
    if (!ends_soon) {
      staying.insert(id);
    }
  }
  Put(0, ends);
  LinkAll();
  EXPECT_EQ(Searched(100).size(), 100u);
  clock_.JumpWall(seconds(2));
  for (const bool swept : {false, true}) {
    for (const int64_t k : {1, 10, 100, 250}) {
      for (const Predicate& filter : {Predicate{}, Predicate{Op::kNe, "name", {"5"}, {}}}) {
        const std::set<int64_t> found = Searched(k, filter);
        const auto wanted = static_cast<size_t>(std::count_if(
            staying.begin(), staying.end(), [&](int64_t id) { return filter.field.empty() || id % 7 != 5; }));
        EXPECT_EQ(found.size(), std::min<size_t>(static_cast<size_t>(k), wanted)) << "swept " << swept;
        EXPECT_TRUE(std::includes(staying.begin(), staying.end(), found.begin(), found.end()));
      }
    }
    ExpectRows(staying);
    Sweep();
  }
}

TEST_F(ExpiryTest, RandomStoriesAgreeWithAModel) {
  std::map<int64_t, int64_t> model;  // id -> end
  for (int step = 0; step < 1500; ++step) {
    const int64_t now_ns = clock_.WallNowNs();
    const auto id = static_cast<int64_t>(random_.Below(300));
    switch (random_.Below(6)) {
      case 0:
        Sweep();
        break;
      case 1:
        clock_.JumpWall(seconds(random_.Below(5)));
        break;
      case 2:
        shard_->ApplyDelete({RowKey(static_cast<uint64_t>(id))}, Next());
        model.erase(id);
        break;
      case 3:
        PutPlain(id, 5);
        for (int64_t i = id; i < id + 5; ++i) {
          model[i] = now_ns + 10 * kSecondNs;
        }
        break;
      default: {
        const int64_t end_ns = now_ns + static_cast<int64_t>(random_.Below(20)) * kSecondNs;
        Put(id, {end_ns});
        model[id] = end_ns;
      }
    }
    if (step % 50 == 0) {
      std::set<int64_t> expected;
      for (const auto& [row, end_ns] : model) {
        if (end_ns > clock_.WallNowNs()) {
          expected.insert(row);
        }
      }
      ExpectRows(expected);
      ASSERT_FALSE(HasFailure()) << "step " << step;
    }
  }
}

}  // namespace
}  // namespace longbow::engine
