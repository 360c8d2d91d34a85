// A store at work: rows are put, replaced and deleted while index threads link, unlink, repair and seal them, columns
// and projections are indexed, checkpoints written, and everybody searches.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <future>
#include <thread>

#include "base/memory_file_system.h"
#include "engine/store.h"
#include "engine/test_rows.h"
#include "engine/test_store.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 64;           // from here on filtered columns get projections
constexpr uint32_t kSegmentRows = 3072;  // more than are always scanned
constexpr int64_t kStableIds = 300;      // that nobody touches: k rows exist for every query
constexpr int64_t kIds = 4500;
constexpr uint64_t kNames = 3;
constexpr size_t kWriters = 2;
constexpr size_t kSearchers = 3;
const std::string kCollection = "live";

std::string NameOf(int64_t id) { return std::to_string(static_cast<uint64_t>(id) % kNames); }

// The row that an id has had since it was put the n-th time.
TestRow RowOf(int64_t id, uint32_t generation) {
  Random random(static_cast<uint64_t>(id) * 100 + generation);
  return {id, RandomVector(random, kDimension), NameOf(id)};
}

class LiveStore : public testing::Test {
 protected:
  static constexpr uint32_t kDead = UINT32_MAX;

  // What one thread did to an id and the others may rely on.
  struct IdState {
    std::atomic<uint32_t> proposed{0};  // generation, 0: not yet put; kDead
    std::atomic<uint32_t> answered{0};  // the same, once the store has said so
  };

  void SetUp() override {
    StoreOptions options = TestStoreOptions("/data", kSegmentRows);
    options.segment.graph.active = {.degree = 16, .ef_construction = 32};
    options.segment.graph.seal_rows_min = 512;
    options.segment.graph.look_period = std::chrono::milliseconds(100);
    options.index_threads = 2;
    options.tail_rows_max = 1500;  // writers keep pace with the index threads
    options.log_file_size_bytes = 1 << 20;
    options.compact = false;  // this is about rows that die in segments which stay
    auto store = Store::Open({disk_, RealClock(), logger_, metrics_}, options);
    ASSERT_TRUE(store.ok()) << store.status().ToString();
    store_ = std::move(*store);
  }

  void Put(const std::vector<std::pair<int64_t, uint32_t>>& ids) {
    std::vector<TestRow> rows;
    for (const auto& [id, generation] : ids) {
      states_[id].proposed = generation;
      rows.push_back(RowOf(id, generation));
    }
    Status status;
    do {  // again where the index threads were too slow
      std::promise<Status> answer;
      store_->Put(kCollection, WithEncoding(TestBatch(schema_, rows)), nullptr,
                  [&](Status result) { answer.set_value(std::move(result)); });
      status = answer.get_future().get();
    } while (status.code() == StatusCode::kResourceExhausted);
    ASSERT_TRUE(status.ok()) << status.ToString();
    rows_put_ += ids.size();
    for (const auto& [id, generation] : ids) {
      states_[id].answered = generation;
    }
  }

  void PutStable(uint64_t count, uint32_t generation) {
    std::vector<std::pair<int64_t, uint32_t>> batch;
    for (uint64_t id = 0; id < count; ++id) {
      batch.emplace_back(static_cast<int64_t>(id), generation);
    }
    Put(batch);
  }

  void Delete(const std::vector<int64_t>& ids) {
    std::vector<std::string> names;
    for (const int64_t id : ids) {
      states_[id].proposed = kDead;
      names.push_back(std::to_string(id));
    }
    const Status status = store_->Delete(kCollection, names);
    ASSERT_TRUE(status.ok()) << status.ToString();
    for (const int64_t id : ids) {
      states_[id].answered = kDead;
    }
  }

  // Puts every id that is the writer's, in an order of its own; replaces some of them and deletes others.
  void Write(size_t writer) {
    Random random(writer + 1);
    std::vector<int64_t> own;
    for (int64_t id = kStableIds + static_cast<int64_t>(writer); id < kIds; id += kWriters) {
      own.push_back(id);
    }
    std::shuffle(own.begin(), own.end(), random);
    for (size_t begin = 0; begin < own.size(); begin += kBatchRows) {
      const size_t end = std::min(own.size(), begin + kBatchRows);
      std::vector<std::pair<int64_t, uint32_t>> batch;
      for (size_t i = begin; i < end; ++i) {
        batch.emplace_back(own[i], 1);
      }
      std::vector<int64_t> dying;
      for (size_t i = begin; i-- > (begin < 4 * kBatchRows ? 0 : begin - 4 * kBatchRows);) {
        const uint32_t generation = states_[own[i]].answered;
        if (generation != kDead && random.Below(32) == 0) {
          batch.emplace_back(own[i], generation + 1);
        } else if (generation != kDead && random.Below(16) == 0) {
          dying.push_back(own[i]);
        }
      }
      Put(batch);
      if (!dying.empty()) {
        Delete(dying);
      }
    }
  }

  // One search for what an id has now, or had before. True if it came first, or may not be there any more.
  bool AskForRow(Random& random, bool filtered) {
    const auto id = static_cast<int64_t>(random.Below(kIds));
    const uint32_t generation = states_[id].answered;
    SearchRequest request;
    request.collection = kCollection;
    const uint32_t asked = generation == 0 || generation == kDead ? 1 : generation;
    request.vectors = {RowOf(id, asked).vector};
    if (filtered) {
      request.filter = {Predicate::Op::kEq, "name", {NameOf(id)}, {}};
    }
    if (random.Below(2) == 0) {
      request.recall_target = 0.99;
    } else {
      request.ef = 128;
    }
    std::array<uint32_t, kIds> before;
    std::transform(states_.begin(), states_.end(), before.begin(), [](const IdState& s) { return s.answered.load(); });
    const auto results = store_->Search(request, nullptr);
    EXPECT_TRUE(results.ok()) << results.status().ToString();
    const std::vector<Hit>& hits = results->front().hits;
    EXPECT_EQ(hits.size(), 10u);
    std::set<uint64_t> seen;
    for (const Hit& hit : hits) {
      EXPECT_TRUE(seen.insert(hit.id).second) << "id " << hit.id << " came twice";
      EXPECT_NE(before.at(hit.id), kDead) << "id " << hit.id << " was deleted before the search began";
      EXPECT_TRUE(!filtered || NameOf(static_cast<int64_t>(hit.id)) == NameOf(id));
    }
    if (states_[id].proposed != generation || generation == 0 || generation == kDead) {
      return true;
    }
    return !hits.empty() && hits.front().id == static_cast<uint64_t>(id) && hits.front().score == 1.0f;
  }

  std::shared_ptr<const View> Pin() { return (*store_->Find(kCollection))->shard.Pin(); }

  // All segments are full: they end as sealed graphs of all their rows.
  bool EverythingIsSealed() {
    const auto view = Pin();
    return std::all_of(view->segments.begin(), view->segments.end(), [](const SegmentView& segment) {
      const SegmentGraph::Pinned graph = segment.segment->graph().Pin(segment.rows);
      return segment.rows == kSegmentRows && graph.kind == GraphKind::kSealed && graph.rows == segment.rows;
    });
  }

  static constexpr size_t kBatchRows = 50;
  static_assert(kBatchRows <= kStableIds);

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  MemoryFileSystem disk_;
  Logger logger_{{.level = LogLevel::kError}};
  Metrics metrics_;
  std::array<IdState, kIds> states_;
  std::atomic<uint64_t> rows_put_{0};
  std::unique_ptr<Store> store_;
};

TEST_F(LiveStore, FindsEveryLiveRowAndNoDeadOneWhateverRunsBeside) {
  PutStable(kStableIds, 1);
  std::atomic<bool> done{false};
  std::atomic<uint64_t> asked{0};
  std::atomic<uint64_t> missed{0};
  std::vector<std::thread> others;
  for (size_t searcher = 0; searcher < kSearchers; ++searcher) {
    others.emplace_back([&, searcher] {
      Random random(100 + searcher);
      while (!done) {
        missed += AskForRow(random, searcher == 0) ? 0 : 1;
        ++asked;
        std::this_thread::sleep_for(std::chrono::milliseconds(1));  // index threads are of low priority
      }
    });
  }
  others.emplace_back([&] {
    while (!done) {
      EXPECT_TRUE(store_->Checkpoint().ok());
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
  });
  std::vector<std::thread> writers;
  for (size_t writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] { Write(writer); });
  }
  for (std::thread& writer : writers) {
    writer.join();
  }
  while (rows_put_ % kSegmentRows != 0) {  // until the last segment is full, too
    PutStable(std::min<uint64_t>(kStableIds, kSegmentRows - rows_put_ % kSegmentRows), 2);
  }
  const auto give_up = std::chrono::steady_clock::now() + std::chrono::minutes(5);
  while (!EverythingIsSealed() && std::chrono::steady_clock::now() < give_up) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  done = true;
  for (std::thread& other : others) {
    other.join();
  }
  // A walk may miss a row whose neighbours' lists are just being rewritten.
  EXPECT_LE(missed * 100, asked) << asked << " searches";
  EXPECT_GT(asked, 100u);
  ASSERT_TRUE(EverythingIsSealed());
  size_t living = 0;
  size_t looked_farther = 0;
  for (int64_t id = 0; id < kIds; ++id) {
    const uint32_t generation = states_[id].answered;
    SearchRequest request;
    request.collection = kCollection;
    request.vectors = {RowOf(id, generation == kDead ? 1 : generation).vector};
    request.ef = 256;
    auto results = store_->Search(request, nullptr);
    ASSERT_TRUE(results.ok()) << results.status().ToString();
    if (generation != kDead && results->front().hits.front().id != static_cast<uint64_t>(id)) {
      // Random vectors in a graph of few links are hard to find. Wide enough to come to every row that can be reached,
      // as a walk may hold each as often as it has links; and slow.
      request.ef = 64 * kSegmentRows;
      results = store_->Search(request, nullptr);
      ASSERT_TRUE(results.ok()) << results.status().ToString();
      ++looked_farther;
    }
    ASSERT_EQ(results->front().hits.size(), 10u);
    const Hit& first = results->front().hits.front();
    if (generation == kDead) {
      EXPECT_NE(first.id, static_cast<uint64_t>(id));
      EXPECT_LT(first.score, 1.0f);
    } else {
      ++living;
      EXPECT_EQ(first.id, static_cast<uint64_t>(id));
      EXPECT_EQ(first.score, 1.0f);
    }
  }
  EXPECT_LE(looked_farther, living / 50);
  EXPECT_EQ(Pin()->live_rows, living);
  EXPECT_GT(Pin()->rows, living + 500);  // the test did delete and replace
  const std::string metrics = metrics_.Render();
  EXPECT_EQ(metrics.find("longbow_graph_seals_total 0\n"), std::string::npos) << metrics;
  EXPECT_EQ(metrics.find("longbow_graph_unlinked_rows_total 0\n"), std::string::npos) << metrics;
}

}  // namespace
}  // namespace longbow::engine
