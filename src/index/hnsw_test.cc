#include "index/hnsw.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "index/flat_search.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

std::vector<float> RowOf(const VectorRows& rows, LocalId id) { return {rows.row(id), rows.row(id) + rows.dimension()}; }

double RecallAt10(const Hnsw& graph, const VectorRows& rows, ClusteredPoints& points, SearchOptions options,
                  size_t queries) {
  options.k = 10;
  const FlatIndex flat(std::shared_ptr<const VectorRows>(&rows, [](const VectorRows*) {}));
  size_t found = 0;
  size_t exist = 0;
  for (size_t i = 0; i < queries; ++i) {
    const std::vector<float> query = points.Next();
    const std::vector<Neighbor> exact = SearchOrFail(flat, rows, query, options);
    found += CountShared(exact, SearchOrFail(graph, rows, query, options));
    exist += exact.size();
  }
  return static_cast<double>(found) / static_cast<double>(exist);
}

class HnswMetricTest : public testing::TestWithParam<Metric> {
 protected:
  static constexpr uint32_t kDimension = 32;
  static constexpr uint32_t kRows = 20'000 / kFewer;

  // One graph for all tests of a metric: building it is most of the time.
  static void SetUpTestSuite() { built_.clear(); }
  struct Built {
    std::shared_ptr<VectorRows> rows;
    std::unique_ptr<Hnsw> graph;
    ClusteredPoints points{kDimension, 50, 3};
  };
  Built& Graph() {
    std::unique_ptr<Built>& built = built_[GetParam()];
    if (built == nullptr) {
      built = std::make_unique<Built>();
      built->rows = MakeRows(kDimension, kRows, GetParam());
      for (LocalId id = 0; id < kRows; ++id) {
        SetRow(*built->rows, id, built->points.Next());
      }
      built->graph = MakeGraph(built->rows);
      InsertAll(*built->graph, 0, kRows, 2);
    }
    return *built;
  }

  static inline std::map<Metric, std::unique_ptr<Built>> built_;
};

TEST_P(HnswMetricTest, FindsWhatFlatSearchFinds) {
  Built& b = Graph();
  EXPECT_EQ(b.graph->inserted_rows(), kRows);
  EXPECT_EQ(b.graph->CountReachableRows(), kRows);
  const double recall = RecallAt10(*b.graph, *b.rows, b.points, {.ef = 128, .filter = {.begin = 0, .end = kRows}}, 200);
  RecordProperty("recall", std::to_string(recall));
  EXPECT_GE(recall, 0.95);
}

TEST_P(HnswMetricTest, LeavesOutDeletedRowsAndStillFindsTheRest) {
  Built& b = Graph();
  std::vector<std::atomic<uint64_t>> deleted_at(kRows);
  std::mt19937 random(9);
  for (const double share : {0.2, 0.9, 0.999}) {
    std::bernoulli_distribution dies(share);
    for (auto& died : deleted_at) {
      died = dies(random) ? 5 : 0;
    }
    SCOPED_TRACE(testing::Message() << "deleted " << share);
    const RowFilter filter = {.begin = 0, .end = kRows, .deleted_at = deleted_at.data(), .version = 5};
    EXPECT_GE(RecallAt10(*b.graph, *b.rows, b.points, {.ef = 128, .filter = filter}, 50), 0.95);
    const RowFilter before = {.begin = 0, .end = kRows, .deleted_at = deleted_at.data(), .version = 4};
    EXPECT_GE(RecallAt10(*b.graph, *b.rows, b.points, {.ef = 128, .filter = before}, 50), 0.95);
  }
}

TEST_P(HnswMetricTest, FiltersOfAnySelectivity) {
  Built& b = Graph();
  std::mt19937 random(10);
  for (const double share : {0.0005, 0.01, 0.3, 0.95}) {
    std::bernoulli_distribution passes(share);
    std::vector<uint64_t> bitmap(kRows / 64 + 1);
    for (LocalId id = 0; id < kRows; ++id) {
      bitmap[id / 64] |= static_cast<uint64_t>(passes(random)) << (id % 64);
    }
    SCOPED_TRACE(testing::Message() << "passes " << share);
    const RowFilter filter = {.begin = 100, .end = kRows - 100, .passing = bitmap.data()};
    EXPECT_GE(RecallAt10(*b.graph, *b.rows, b.points, {.ef = 128, .filter = filter}, 50), 0.95);
  }
}

TEST_P(HnswMetricTest, LargeKAndEf) {
  Built& b = Graph();
  const std::vector<float> query = b.points.Next();
  const RowFilter all = {.begin = 0, .end = kRows};
  EXPECT_EQ(SearchOrFail(*b.graph, *b.rows, query, {.k = 1500, .ef = 10, .filter = all}).size(), 1500u);
  EXPECT_EQ(SearchOrFail(*b.graph, *b.rows, query, {.k = 100'000, .ef = 10, .filter = all}).size(), kRows);
  EXPECT_EQ(SearchOrFail(*b.graph, *b.rows, query, {.k = 1, .ef = 100'000, .filter = all}).size(), 1u);
}

TEST_P(HnswMetricTest, StopsWhenCancelledOrTooLate) {
  Built& b = Graph();
  const std::vector<float> query = b.points.Next();
  const std::vector<uint64_t> none(kRows / 64 + 1, 0);
  Cancellation cancelled;
  cancelled.Cancel();
  const Cancellation late(Cancellation::Clock::now());
  for (const uint64_t* passing : {static_cast<const uint64_t*>(nullptr), none.data()}) {
    SearchOptions options = {
        .k = 5, .filter = {.begin = 0, .end = kRows, .passing = passing}, .cancellation = &cancelled};
    EXPECT_EQ(b.graph->Search(query.data(), options).status().code(), StatusCode::kCancelled);
    options.cancellation = &late;
    EXPECT_EQ(b.graph->Search(query.data(), options).status().code(), StatusCode::kDeadlineExceeded);
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, HnswMetricTest, testing::Values(Metric::kL2, Metric::kCosine, Metric::kInnerProduct),
                         [](const auto& info) { return std::string(MetricName(info.param)); });

TEST(Hnsw, RefusesOptionsOutOfRange) {
  auto rows = MakeRows(4, 10, Metric::kL2);
  for (const HnswOptions& bad :
       {HnswOptions{.m = 1}, HnswOptions{.m = 129}, HnswOptions{.m = 16, .ef_construction = 15},
        HnswOptions{.m = 16, .ef_construction = 1'000'001}}) {
    EXPECT_EQ(Hnsw::Create(rows, bad).status().code(), StatusCode::kInvalidArgument);
  }
}

TEST(Hnsw, EmptyAndSingleRow) {
  auto rows = MakeRows(4, 1, Metric::kL2);
  auto graph = MakeGraph(rows);
  const std::vector<float> query = {1, 2, 3, 4};
  EXPECT_EQ(graph->CountReachableRows(), 0u);
  EXPECT_TRUE(SearchOrFail(*graph, *rows, query, {.k = 3, .filter = {.begin = 0, .end = 1}}).empty());
  SetRow(*rows, 0, query);
  graph->Insert(0);
  EXPECT_EQ(graph->CountReachableRows(), 1u);
  EXPECT_EQ(SearchOrFail(*graph, *rows, query, {.k = 3, .filter = {.begin = 0, .end = 1}}).size(), 1u);
  EXPECT_TRUE(SearchOrFail(*graph, *rows, query, {.k = 3, .filter = {.begin = 0, .end = 0}}).empty());
  EXPECT_TRUE(SearchOrFail(*graph, *rows, query, {.k = 0, .filter = {.begin = 0, .end = 1}}).empty());
}

TEST(HnswDeathTest, InsertingTwiceOrBehindTheEndIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto rows = MakeRows(4, 2, Metric::kL2);
  auto graph = MakeGraph(rows);
  graph->Insert(1);
  EXPECT_DEATH(graph->Insert(1), "row 1 inserted into a graph of 2 rows a second time");
  EXPECT_DEATH(graph->Insert(2), "row 2 inserted into a graph of 2 rows lies behind its end");
}

TEST(Hnsw, RowIsFoundAsSoonAsInsertReturnsInAnyOrder) {
  constexpr uint32_t kRows = 3000;
  auto rows = MakeRows(16, kRows, Metric::kL2);  // full to the last row
  ClusteredPoints points(16, 10, 1);
  std::vector<LocalId> order(kRows);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(4));
  auto graph = MakeGraph(rows, {.m = 8, .ef_construction = 64});
  for (size_t i = 0; i < kRows; ++i) {
    SetRow(*rows, order[i], points.Next());
    graph->Insert(order[i]);
    const auto found =
        SearchOrFail(*graph, *rows, RowOf(*rows, order[i]), {.k = 1, .ef = 64, .filter = {.begin = 0, .end = kRows}});
    ASSERT_EQ(found.size(), 1u);
    ASSERT_EQ(found[0].id, order[i]);
  }
  EXPECT_EQ(graph->CountReachableRows(), kRows);
}

// With m = 2 and few candidates all rules of thumb fail; the tree alone keeps every row reachable.
TEST(Hnsw, EveryRowIsReachableEvenWithTheFewestLinks) {
  constexpr uint32_t kRows = 4000;
  for (const uint32_t threads : {1, 4}) {
    for (const uint32_t clusters : {1, 500}) {
      auto rows = MakeRows(8, kRows, Metric::kL2);
      ClusteredPoints points(8, clusters, 2);
      for (LocalId id = 0; id < kRows; ++id) {
        SetRow(*rows, id, points.Next());
      }
      auto graph = MakeGraph(rows, {.m = 2, .ef_construction = 2});
      InsertAll(*graph, 0, kRows, threads);
      EXPECT_EQ(graph->CountReachableRows(), kRows);
    }
  }
}

class HnswDuplicatesTest : public testing::TestWithParam<Metric> {
 protected:
  static constexpr uint32_t kCopies = 5000 / kFewer;
  static constexpr uint32_t kRows = 2 * kCopies;
  static constexpr RowFilter kAll = {.begin = 0, .end = kRows};

  // Copies and others in turn, or first all copies.
  void Build(bool mixed, uint32_t threads) {
    rows_ = MakeRows(16, kRows, GetParam());
    ClusteredPoints points(16, 20, 8);
    copy_ = points.Next();
    copies_.clear();
    for (LocalId id = 0; id < kRows; ++id) {
      const bool is_copy = mixed ? id % 2 == 0 : id < kCopies;
      SetRow(*rows_, id, is_copy ? copy_ : points.Next());
      if (is_copy) {
        copies_.insert(id);
      }
    }
    graph_ = MakeGraph(rows_);
    InsertAll(*graph_, 0, kRows, threads);
  }

  size_t CountCopiesFound() {
    size_t found = 0;
    for (const Neighbor& neighbor :
         SearchOrFail(*graph_, *rows_, copy_, {.k = kCopies, .ef = kCopies, .filter = kAll})) {
      found += copies_.count(neighbor.id);
    }
    return found;
  }

  void ExpectOthersFound() {
    const FlatIndex flat(rows_);
    size_t asked = 0;
    size_t first = 0;
    size_t near = 0;
    for (LocalId id = 1; id < kRows; id += 6) {
      if (!copies_.contains(id)) {
        const std::vector<float> query = RowOf(*rows_, id);
        const auto found = SearchOrFail(*graph_, *rows_, query, {.k = 10, .ef = 128, .filter = kAll});
        const auto exact = SearchOrFail(flat, *rows_, query, {.k = 10, .filter = kAll});
        ++asked;
        first += exact.front().id == found.front().id ? 1 : 0;
        near += CountShared(exact, found);
      }
    }
    EXPECT_GE(first * 1000, asked * 995);
    EXPECT_GE(near * 100, asked * 10 * 95);
  }

  std::shared_ptr<VectorRows> rows_;
  std::vector<float> copy_;
  std::set<LocalId> copies_;
  std::unique_ptr<Hnsw> graph_;
};

TEST_P(HnswDuplicatesTest, ThousandsOfIdenticalRowsHideNothing) {
  for (const auto& [mixed, threads] : {std::pair<bool, uint32_t>{true, 1}, {true, 4}, {false, 1}}) {
    SCOPED_TRACE(testing::Message() << (mixed ? "mixed, threads " : "copies first, threads ") << threads);
    Build(mixed, threads);
    EXPECT_EQ(graph_->CountReachableRows(), kRows);
    ExpectOthersFound();
    if (GetParam() == Metric::kInnerProduct) {
      continue;  // the nearest rows to a row are longer ones, not its copies
    }
    if (threads == 1) {
      EXPECT_EQ(CountCopiesFound(), kCopies);
    } else {
      EXPECT_GE(CountCopiesFound(), kCopies * 95 / 100);  // copies inserted at one moment may not have met
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, HnswDuplicatesTest,
                         testing::Values(Metric::kL2, Metric::kCosine, Metric::kInnerProduct),
                         [](const auto& info) { return std::string(MetricName(info.param)); });

TEST(Hnsw, NothingButIdenticalRows) {
  constexpr uint32_t kRows = 3000;
  auto rows = MakeRows(4, kRows, Metric::kCosine);
  for (LocalId id = 0; id < kRows; ++id) {
    SetRow(*rows, id, {0, 0, 0, 0});
  }
  auto graph = MakeGraph(rows, {.m = 4, .ef_construction = 8});
  InsertAll(*graph, 0, kRows, 3);
  EXPECT_EQ(graph->CountReachableRows(), kRows);
  const auto found = SearchOrFail(*graph, *rows, {1, 0, 0, 0}, {.k = kRows, .filter = {.begin = 0, .end = kRows}});
  EXPECT_EQ(found.size(), kRows);
}

// Many small graphs, because the races of the first insertions happen once per graph.
TEST(Hnsw, FirstInsertionsInParallelLoseNoRow) {
  constexpr uint32_t kThreads = 8;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    auto rows = MakeRows(4, kThreads, Metric::kL2);
    ClusteredPoints points(4, 3, seed);
    for (LocalId id = 0; id < kThreads; ++id) {
      SetRow(*rows, id, points.Next());
    }
    auto graph = MakeGraph(rows, {.m = 2, .ef_construction = 8, .seed = seed});  // m = 2: half the rows raise the level
    std::atomic<uint32_t> ready{0};
    std::vector<std::thread> threads;
    for (LocalId id = 0; id < kThreads; ++id) {
      threads.emplace_back([&, id] {
        ready.fetch_add(1);
        while (ready.load() < kThreads) {
          std::this_thread::yield();
        }
        graph->Insert(id);
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    ASSERT_EQ(graph->CountReachableRows(), kThreads) << "seed " << seed;
    const auto found =
        SearchOrFail(*graph, *rows, points.Next(), {.k = kThreads, .filter = {.begin = 0, .end = kThreads}});
    ASSERT_EQ(found.size(), kThreads) << "seed " << seed;
  }
}

// One thread appends and publishes, two insert, three search, one deletes: what the engine does.
TEST(Hnsw, SearchesBesideInsertionsAndDeletes) {
  constexpr uint32_t kRows = 4000;
  constexpr uint32_t kDimension = 12;
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    auto rows = MakeRows(kDimension, kRows, metric);
    auto graph = MakeGraph(rows, {.m = 8, .ef_construction = 60});
    std::vector<std::atomic<uint64_t>> deleted_at(kRows);
    std::atomic<LocalId> published{0};
    std::atomic<LocalId> next{0};
    std::atomic<uint64_t> version{0};
    std::atomic<bool> done{false};
    std::atomic<uint64_t> searches{0};
    std::atomic<uint64_t> missed{0};

    std::vector<std::thread> writers;
    writers.emplace_back([&] {
      ClusteredPoints points(kDimension, 30, 21);
      for (LocalId id = 0; id < kRows; ++id) {
        SetRow(*rows, id, points.Next());
        published.store(id + 1, std::memory_order_release);
      }
    });
    for (int t = 0; t < 2; ++t) {
      writers.emplace_back([&] {
        for (LocalId id = next.fetch_add(1); id < kRows; id = next.fetch_add(1)) {
          while (published.load(std::memory_order_acquire) <= id) {
            std::this_thread::yield();
          }
          graph->Insert(id);
          const auto found =
              SearchOrFail(*graph, *rows, RowOf(*rows, id), {.k = 1, .ef = 60, .filter = {.begin = 0, .end = kRows}});
          missed += found.empty() || found[0].id != id ? 1 : 0;
        }
      });
    }
    writers.emplace_back([&] {
      std::mt19937 random(1);
      while (!done) {
        if (const LocalId end = published.load(std::memory_order_acquire); end > 0) {
          uint64_t alive = 0;
          deleted_at[random() % end].compare_exchange_strong(alive, version.load() + 1);
          version.fetch_add(1, std::memory_order_release);
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    std::vector<std::thread> readers;
    for (int t = 0; t < 3; ++t) {
      readers.emplace_back([&, t] {
        ClusteredPoints points(kDimension, 30, 21);
        for (int i = 0; i < t; ++i) {
          points.Next();
        }
        while (!done) {
          RowFilter filter;
          filter.version = version.load(std::memory_order_acquire);
          filter.end = published.load(std::memory_order_acquire);
          filter.deleted_at = deleted_at.data();
          SearchOrFail(*graph, *rows, points.Next(), {.k = 10, .ef = 40, .filter = filter});
          searches.fetch_add(1);
        }
      });
    }
    writers[0].join();
    writers[1].join();
    writers[2].join();
    done = true;
    writers[3].join();
    for (std::thread& reader : readers) {
      reader.join();
    }
    EXPECT_GT(searches.load(), 0u);
    EXPECT_LE(missed.load(), kRows / 1000);  // a search may read a list that is just being rewritten
    EXPECT_EQ(graph->CountReachableRows(), kRows);
  }
}

}  // namespace
}  // namespace longbow::index
