#include "index/active_graph.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <random>
#include <set>

#include "index/flat_search.h"
#include "index/sealed_graph.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

std::vector<float> RowOf(const VectorRows& rows, LocalId id) { return {rows.row(id), rows.row(id) + rows.dimension()}; }

std::shared_ptr<VectorRows> ClusteredRows(uint32_t dimension, uint32_t rows, ClusteredPoints& points,
                                          Metric metric = Metric::kL2) {
  auto made = MakeRows(dimension, rows, metric);
  for (LocalId id = 0; id < rows; ++id) {
    SetRow(*made, id, points.Next());
  }
  return made;
}

TEST(ActiveGraph, RefusesOptionsOutOfRange) {
  auto rows = MakeRows(4, 10, Metric::kL2);
  for (const ActiveGraphOptions& bad : {ActiveGraphOptions{.degree = 3}, ActiveGraphOptions{.degree = 33},
                                        ActiveGraphOptions{.degree = 16, .ef_construction = 15},
                                        ActiveGraphOptions{.degree = 16, .ef_construction = 1'000'001}}) {
    EXPECT_EQ(ActiveGraph::Create(rows, 10, bad).status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(ActiveGraph::Create(rows, 0, {}).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(ActiveGraph::Create(rows, 11, {}).status().code(), StatusCode::kInvalidArgument);
}

TEST(ActiveGraph, EmptyAndSingleRow) {
  auto rows = MakeRows(4, 1, Metric::kL2);
  auto graph = MakeActive(rows);
  const std::vector<float> query = {1, 2, 3, 4};
  EXPECT_EQ(graph->CountUnreachableRows(), 0u);
  EXPECT_EQ(graph->Repair().linked_rows, 0u);
  EXPECT_TRUE(SearchOrFail(*graph, *rows, query, {.k = 3, .filter = {.end = 1}}).empty());
  SetRow(*rows, 0, query);
  graph->Insert(0);
  EXPECT_EQ(SearchOrFail(*graph, *rows, query, {.k = 3, .filter = {.end = 1}}).size(), 1u);
}

TEST(ActiveGraphDeathTest, InsertingTwiceOrBehindTheEndIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto rows = MakeRows(4, 2, Metric::kL2);
  auto graph = MakeActive(rows);
  graph->Insert(1);
  EXPECT_DEATH(graph->Insert(1), "row 1 inserted into a graph of 2 rows a second time");
  EXPECT_DEATH(graph->Insert(2), "row 2 inserted into a graph of 2 rows lies behind its end");
}

TEST(ActiveGraph, RowIsFoundAsSoonAsInsertReturnsInAnyOrder) {
  constexpr uint32_t kRows = 3000;
  ClusteredPoints points(16, 10, 1);
  auto rows = ClusteredRows(16, kRows, points);
  std::vector<LocalId> order(kRows);
  std::iota(order.begin(), order.end(), 0);
  std::shuffle(order.begin(), order.end(), std::mt19937(4));
  auto graph = MakeActive(rows, {.ef_construction = 64});
  size_t missed = 0;
  for (const LocalId id : order) {
    graph->Insert(id);
    const auto found = SearchOrFail(*graph, *rows, RowOf(*rows, id), {.k = 1, .ef = 64, .filter = {.end = kRows}});
    missed += found.empty() || found[0].id != id ? 1 : 0;
  }
  EXPECT_LE(missed, kRows / 500);
  EXPECT_LE(graph->CountUnreachableRows(), kRows / 500);
  graph->Repair();
  EXPECT_EQ(graph->CountUnreachableRows(), 0u);
}

// Where copies stand among the other rows.
enum class CopyOrder {
  kEverySecond,  // as long as there are any
  kSpread,
  kFirst,
};

struct DuplicatesCase {
  uint32_t copies;
  uint32_t rows;
  CopyOrder order;
  uint32_t threads;
};

class DuplicatesTest : public testing::TestWithParam<Metric> {
 protected:
  void Build(const DuplicatesCase& built) {
    count_ = built.rows / kFewer;
    filter_ = {.end = count_};
    rows_ = MakeRows(16, count_, GetParam());
    ClusteredPoints points(16, 20, 8);
    copy_ = points.Next();
    copies_.clear();
    for (LocalId id = 0; id < count_; ++id) {
      const bool is_copy = IsCopy(built, id);
      SetRow(*rows_, id, is_copy ? copy_ : points.Next());
      if (is_copy) {
        copies_.insert(id);
      }
    }
    graph_ = MakeActive(rows_);
    InsertAll(*graph_, 0, count_, built.threads);
    graph_->Repair();
  }

  bool IsCopy(const DuplicatesCase& built, LocalId id) const {
    const uint32_t copies = built.copies / kFewer;
    switch (built.order) {
      case CopyOrder::kEverySecond:
        return id % 2 == 0 && id / 2 < copies;
      case CopyOrder::kSpread:
        return uint64_t{id} * copies / count_ != (uint64_t{id} + 1) * copies / count_;
      case CopyOrder::kFirst:
        break;
    }
    return id < copies;
  }

  size_t CountCopiesFound(const VectorIndex& index) {
    const auto copies = static_cast<uint32_t>(copies_.size());
    size_t found = 0;
    for (const Neighbor& neighbor :
         SearchOrFail(index, *rows_, copy_, {.k = copies, .ef = copies, .filter = filter_})) {
      found += copies_.count(neighbor.id);
    }
    return found;
  }

  void ExpectOthersFound(const VectorIndex& index) {
    const FlatIndex flat(rows_);
    const LocalId step = std::max<LocalId>(1, static_cast<LocalId>((count_ - copies_.size()) / 400));
    LocalId others = 0;
    size_t asked = 0;
    size_t near = 0;
    for (LocalId id = 0; id < count_; ++id) {
      if (copies_.contains(id) || others++ % step != 0) {
        continue;
      }
      const std::vector<float> query = RowOf(*rows_, id);
      const auto found = SearchOrFail(index, *rows_, query, {.k = 10, .ef = 128, .filter = filter_});
      ++asked;
      // Of copies that are all as near any will do.
      const double farthest = SearchOrFail(flat, *rows_, query, {.k = 10, .filter = filter_}).back().distance;
      near += static_cast<size_t>(std::count_if(
          found.begin(), found.end(), [&](const Neighbor& neighbor) { return neighbor.distance <= farthest; }));
    }
    EXPECT_GE(asked, 100u);
    EXPECT_GE(near * 100, asked * 10 * 95);
  }

  void ExpectAllFound(const VectorIndex& index) {
    ExpectOthersFound(index);
    if (GetParam() != Metric::kInnerProduct) {  // there the nearest rows to a row are longer ones, not its copies
      EXPECT_GE(CountCopiesFound(index), copies_.size() * 95 / 100);
    }
  }

  uint32_t count_ = 0;
  RowFilter filter_;
  std::shared_ptr<VectorRows> rows_;
  std::vector<float> copy_;
  std::set<LocalId> copies_;
  std::unique_ptr<ActiveGraph> graph_;
};

TEST_P(DuplicatesTest, ThousandsOfIdenticalRowsHideNothing) {
  using enum CopyOrder;
  for (const DuplicatesCase& built :
       {DuplicatesCase{500, 5000, kSpread, 1}, DuplicatesCase{1000, 5000, kEverySecond, 4},
        DuplicatesCase{2500, 5000, kEverySecond, 1}, DuplicatesCase{3000, 6000, kEverySecond, 1},
        DuplicatesCase{3000, 6000, kEverySecond, 4}, DuplicatesCase{5000, 10000, kEverySecond, 4},
        DuplicatesCase{5000, 10000, kFirst, 1}, DuplicatesCase{9000, 10000, kFirst, 4},
        DuplicatesCase{5000, 20000, kSpread, 4}}) {
    SCOPED_TRACE(testing::Message() << built.copies << " copies of " << built.rows << " rows, order "
                                    << static_cast<int>(built.order) << ", threads " << built.threads);
    Build(built);
    EXPECT_EQ(graph_->CountUnreachableRows(), 0u);
    ExpectAllFound(*graph_);
    auto sealed = SealedGraph::Build(*graph_, {.threads = 2});
    ASSERT_TRUE(sealed.ok());
    ExpectAllFound(**sealed);
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, DuplicatesTest, testing::Values(Metric::kL2, Metric::kCosine, Metric::kInnerProduct),
                         [](const auto& info) { return std::string(MetricName(info.param)); });

TEST(ActiveGraph, NothingButIdenticalRows) {
  constexpr uint32_t kRows = 3000;
  auto rows = MakeRows(4, kRows, Metric::kCosine);
  for (LocalId id = 0; id < kRows; ++id) {
    SetRow(*rows, id, {0, 0, 0, 0});
  }
  auto graph = MakeActive(rows);
  InsertAll(*graph, 0, kRows, 3);
  graph->Repair();
  EXPECT_EQ(graph->CountUnreachableRows(), 0u);
  const auto found = SearchOrFail(*graph, *rows, {1, 0, 0, 0}, {.k = kRows, .filter = {.end = kRows}});
  EXPECT_EQ(found.size(), kRows);
  EXPECT_EQ(found.front().distance, 1.0f);
}

// Many small graphs, because the races of the first insertions happen once per graph.
TEST(ActiveGraph, FirstInsertionsInParallelLoseNoRow) {
  constexpr uint32_t kThreads = 8;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    ClusteredPoints points(4, 3, seed);
    auto rows = ClusteredRows(4, kThreads, points);
    auto graph = MakeActive(rows);
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
    ASSERT_EQ(graph->Repair().linked_rows, kThreads);
    const auto found = SearchOrFail(*graph, *rows, points.Next(), {.k = kThreads, .filter = {.end = kThreads}});
    ASSERT_EQ(found.size(), kThreads) << "seed " << seed;
  }
}

TEST(ActiveGraph, RepairRelinksAGraphBrokenOnPurpose) {
  constexpr uint32_t kRows = 4000;
  ClusteredPoints points(16, 20, 6);
  auto rows = ClusteredRows(16, kRows, points);
  auto graph = MakeActive(rows);
  InsertAll(*graph, 0, kRows, 2);
  graph->Repair();
  std::set<LocalId> broken;
  for (LocalId id = 13; id < kRows; id += 97) {
    graph->DropLinksTo(id);
    broken.insert(id);
  }
  const uint32_t unreachable = graph->CountUnreachableRows();
  EXPECT_GE(unreachable, broken.size() * 9 / 10);  // a few may be entry points
  const RepairReport report = graph->Repair();
  EXPECT_EQ(report.linked_rows, kRows);
  EXPECT_EQ(report.unreachable_rows, unreachable);
  EXPECT_GE(report.links_added, unreachable);
  EXPECT_EQ(graph->CountUnreachableRows(), 0u);
  size_t missed = 0;
  for (const LocalId id : broken) {
    const auto found = SearchOrFail(*graph, *rows, RowOf(*rows, id), {.k = 1, .ef = 64, .filter = {.end = kRows}});
    missed += found.empty() || found[0].id != id ? 1 : 0;
  }
  EXPECT_LE(missed, 2u);
  EXPECT_EQ(graph->Repair().unreachable_rows, 0u);
}

// Ten rounds of a fifth replaced, as P11 asks: recall as if built afresh.
TEST(ActiveGraph, RecallSurvivesReplacement) {
  constexpr uint32_t kLiving = 5000 / kFewer;
  constexpr uint32_t kRound = kLiving / 5;
  constexpr uint32_t kRows = kLiving + 10 * kRound;
  ClusteredPoints points(24, 30, 6);
  auto rows = ClusteredRows(24, kRows, points);
  auto graph = MakeActive(rows);
  InsertAll(*graph, 0, kLiving, 2);
  std::vector<std::atomic<uint64_t>> deleted_at(kRows);
  std::vector<LocalId> living(kLiving);
  std::iota(living.begin(), living.end(), 0);
  std::mt19937 random(3);
  const RowFilter filter{.end = kRows, .deleted_at = deleted_at.data(), .version = 1};
  for (uint32_t round = 0; round < 10; ++round) {
    std::vector<uint64_t> dead(kRows / 64 + 1);
    std::shuffle(living.begin(), living.end(), random);
    for (uint32_t i = 0; i < kRound; ++i) {
      deleted_at[living[i]] = 1;
      dead[living[i] / 64] |= uint64_t{1} << (living[i] % 64);
      living[i] = kLiving + round * kRound + i;
    }
    EXPECT_GT(graph->Unlink(dead.data(), 0, kRows), 0u);
    graph->FreeRows(dead.data(), 0, kRows);
    for (uint32_t i = 0; i < kRound; ++i) {
      graph->Insert(living[i], &filter);
    }
  }
  EXPECT_EQ(graph->Repair().linked_rows, kLiving);
  EXPECT_EQ(graph->CountUnreachableRows(), 0u);

  auto fresh_rows = MakeRows(24, kLiving, Metric::kL2);
  for (LocalId id = 0; id < kLiving; ++id) {
    SetRow(*fresh_rows, id, RowOf(*rows, living[id]));
  }
  auto fresh = MakeActive(fresh_rows);
  InsertAll(*fresh, 0, kLiving, 2);
  const FlatIndex flat(rows);
  const FlatIndex fresh_flat(fresh_rows);
  size_t found = 0;
  size_t fresh_found = 0;
  constexpr size_t kQueries = 300;
  for (size_t i = 0; i < kQueries; ++i) {
    const std::vector<float> query = points.Next();
    const SearchOptions options{.k = 10, .ef = 20, .filter = filter};
    const SearchOptions fresh_options{.k = 10, .ef = 20, .filter = {.end = kLiving}};
    found += CountShared(SearchOrFail(flat, *rows, query, options), SearchOrFail(*graph, *rows, query, options));
    fresh_found += CountShared(SearchOrFail(fresh_flat, *fresh_rows, query, fresh_options),
                               SearchOrFail(*fresh, *fresh_rows, query, fresh_options));
  }
  EXPECT_GE(static_cast<double>(found) + 0.01 * 10 * kQueries, static_cast<double>(fresh_found));
  EXPECT_GE(found * 100, kQueries * 10 * 93);
}

// One thread appends and publishes, two insert, three search, one deletes, one unlinks and repairs: what the engine
// does.
TEST(ActiveGraph, SearchesBesideInsertionsDeletesAndRepair) {
  constexpr uint32_t kRows = 4000;
  constexpr uint32_t kDimension = 12;
  for (const Metric metric : {Metric::kL2, Metric::kCosine}) {
    auto rows = MakeRows(kDimension, kRows, metric);
    SetRow(*rows, 0, ClusteredPoints(kDimension, 30, 21).Next());
    auto made = ActiveGraph::Create(rows, 1, {.ef_construction = 60});
    ASSERT_TRUE(made.ok());
    ActiveGraph* const graph = made->get();
    std::vector<std::atomic<uint64_t>> deleted_at(kRows);
    std::atomic<LocalId> published{1};
    std::atomic<LocalId> next{0};
    std::atomic<uint64_t> version{1};
    std::atomic<bool> done{false};
    std::atomic<uint64_t> searches{0};

    std::vector<std::thread> writers;
    writers.emplace_back([&] {
      ClusteredPoints points(kDimension, 30, 21);
      for (LocalId id = 1; id < kRows; ++id) {
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
        }
      });
    }
    std::vector<std::thread> others;
    others.emplace_back([&] {
      std::mt19937 random(1);
      while (!done) {
        const LocalId end = published.load(std::memory_order_acquire);
        uint64_t alive = 0;
        deleted_at[random() % end].compare_exchange_strong(alive, version.load() + 1);
        version.fetch_add(1, std::memory_order_release);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    });
    others.emplace_back([&] {
      while (!done) {
        std::vector<uint64_t> dead(kRows / 64 + 1);
        for (LocalId id = 0; id < kRows; ++id) {
          dead[id / 64] |= static_cast<uint64_t>(deleted_at[id] != 0 && graph->links().IsLinked(id)) << (id % 64);
        }
        graph->Unlink(dead.data(), 0, kRows);
        graph->FreeRows(dead.data(), 0, kRows);
        graph->Repair();
        std::this_thread::sleep_for(std::chrono::milliseconds(5));
      }
    });
    for (int t = 0; t < 3; ++t) {
      others.emplace_back([&, t] {
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
    for (std::thread& writer : writers) {
      writer.join();
    }
    done = true;
    for (std::thread& other : others) {
      other.join();
    }
    EXPECT_GT(searches.load(), 0u);
    graph->Repair();
    EXPECT_EQ(graph->CountUnreachableRows(), 0u);
  }
}

}  // namespace
}  // namespace longbow::index
