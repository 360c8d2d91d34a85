// Every kind of graph against exact search.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "index/flat_search.h"
#include "index/lean_graph.h"
#include "index/sealed_graph.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

double RecallAt10(const VectorIndex& graph, const VectorRows& rows, ClusteredPoints& points, SearchOptions options,
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

enum class Kind { kActive, kSealed, kLean };

const char* KindName(Kind kind) { return kind == Kind::kActive ? "Active" : kind == Kind::kSealed ? "Sealed" : "Lean"; }

struct Case {
  Metric metric;
  Kind kind;
  uint32_t dimension;
};

class GraphRecallTest : public testing::TestWithParam<Case> {
 protected:
  static constexpr uint32_t kRows = 20'000 / kFewer;

  // One graph for all tests of a case: building it is most of the time.
  struct Built {
    std::shared_ptr<VectorRows> rows;
    std::unique_ptr<ActiveGraph> active;
    std::unique_ptr<SealedGraph> sealed;
    std::unique_ptr<LeanGraph> lean;
    std::unique_ptr<ClusteredPoints> points;
    const VectorIndex* graph = nullptr;
  };
  static void SetUpTestSuite() { built_.clear(); }
  static void TearDownTestSuite() { built_.clear(); }

  Built& Graph() {
    const Case& c = GetParam();
    Built& b = built_[{c.metric, c.dimension}];
    if (b.rows == nullptr) {
      b.points = std::make_unique<ClusteredPoints>(c.dimension, 50, 3);
      b.rows = MakeRows(c.dimension, kRows, c.metric);
      for (LocalId id = 0; id < kRows; ++id) {
        SetRow(*b.rows, id, b.points->Next());
      }
      b.active = MakeActive(b.rows);
      InsertAll(*b.active, 0, kRows, 2);
    }
    if (c.kind != Kind::kActive && b.sealed == nullptr) {
      b.active->Repair();
      auto sealed = SealedGraph::Build(*b.active, {.threads = 2});
      EXPECT_TRUE(sealed.ok()) << sealed.status().ToString();
      b.sealed = std::move(*sealed);
      auto lean = LeanGraph::Build(*b.active, {.threads = 2});
      EXPECT_TRUE(lean.ok()) << lean.status().ToString();
      b.lean = std::move(*lean);
    }
    b.graph = c.kind == Kind::kActive   ? static_cast<const VectorIndex*>(b.active.get())
              : c.kind == Kind::kSealed ? static_cast<const VectorIndex*>(b.sealed.get())
                                        : b.lean.get();
    return b;
  }

  static inline std::map<std::pair<Metric, uint32_t>, Built> built_;
};

TEST_P(GraphRecallTest, FindsWhatFlatSearchFinds) {
  Built& b = Graph();
  EXPECT_EQ(b.active->inserted_rows(), kRows);
  const double recall = RecallAt10(*b.graph, *b.rows, *b.points, {.ef = 128, .filter = {.end = kRows}}, 200);
  RecordProperty("recall", std::to_string(recall));
  EXPECT_GE(recall, 0.95);
}

TEST_P(GraphRecallTest, DistancesOfCodesAreNearTheExactOnes) {
  Built& b = Graph();
  for (int i = 0; i < 20; ++i) {
    const std::vector<float> query = b.points->Next();
    SearchOptions options{.k = 10, .ef = 64, .filter = {.end = kRows}};
    const auto exact = SearchOrFail(*b.graph, *b.rows, query, options);
    options.exact_distances = false;
    const auto coded = b.graph->Search(query.data(), options);
    ASSERT_TRUE(coded.ok());
    ASSERT_EQ(coded->size(), exact.size());
    for (size_t j = 0; j < exact.size(); ++j) {
      const float tolerance = (GetParam().kind == Kind::kLean ? 5e-2f : 2e-3f) * (1 + std::abs(exact[j].distance));
      EXPECT_NEAR((*coded)[j].distance, exact[j].distance, tolerance);
    }
  }
}

TEST_P(GraphRecallTest, LeavesOutDeletedRowsAndStillFindsTheRest) {
  Built& b = Graph();
  std::vector<std::atomic<uint64_t>> deleted_at(kRows);
  std::mt19937 random(9);
  for (const double share : {0.2, 0.5}) {
    std::bernoulli_distribution dies(share);
    for (auto& died : deleted_at) {
      died = dies(random) ? 5 : 0;
    }
    SCOPED_TRACE(testing::Message() << "deleted " << share);
    const RowFilter filter = {.end = kRows, .deleted_at = deleted_at.data(), .version = 5};
    EXPECT_GE(RecallAt10(*b.graph, *b.rows, *b.points, {.ef = 128, .filter = filter}, 50), 0.95);
    const RowFilter before = {.end = kRows, .deleted_at = deleted_at.data(), .version = 4};
    EXPECT_GE(RecallAt10(*b.graph, *b.rows, *b.points, {.ef = 128, .filter = before}, 50), 0.95);
  }
}

TEST_P(GraphRecallTest, FiltersThatManyRowsPass) {
  Built& b = Graph();
  std::mt19937 random(10);
  for (const double share : {0.3, 0.6, 0.95}) {
    std::bernoulli_distribution passes(share);
    std::vector<uint64_t> bitmap(kRows / 64 + 1);
    for (LocalId id = 0; id < kRows; ++id) {
      bitmap[id / 64] |= static_cast<uint64_t>(passes(random)) << (id % 64);
    }
    SCOPED_TRACE(testing::Message() << "passes " << share);
    const RowFilter filter = {.begin = 100, .end = kRows - 100, .passing = bitmap.data()};
    EXPECT_GE(RecallAt10(*b.graph, *b.rows, *b.points, {.ef = 128, .filter = filter}, 50), 0.95);
  }
}

TEST_P(GraphRecallTest, LargeKAndEf) {
  Built& b = Graph();
  const std::vector<float> query = b.points->Next();
  const RowFilter all = {.end = kRows};
  EXPECT_EQ(SearchOrFail(*b.graph, *b.rows, query, {.k = 1500, .ef = 10, .filter = all}).size(), 1500u);
  EXPECT_GE(SearchOrFail(*b.graph, *b.rows, query, {.k = 100'000, .ef = 10, .filter = all}).size(), kRows * 99 / 100);
  EXPECT_EQ(SearchOrFail(*b.graph, *b.rows, query, {.k = 1, .ef = 100'000, .filter = all}).size(), 1u);
  EXPECT_TRUE(SearchOrFail(*b.graph, *b.rows, query, {.k = 0, .filter = all}).empty());
  EXPECT_TRUE(SearchOrFail(*b.graph, *b.rows, query, {.k = 3, .filter = {}}).empty());
}

TEST_P(GraphRecallTest, StopsWhenCancelledOrTooLate) {
  Built& b = Graph();
  const std::vector<float> query = b.points->Next();
  Cancellation cancelled;
  cancelled.Cancel();
  const Cancellation late(Cancellation::Clock::now());
  SearchOptions options = {.k = 5, .filter = {.end = kRows}, .cancellation = &cancelled};
  EXPECT_EQ(b.graph->Search(query.data(), options).status().code(), StatusCode::kCancelled);
  options.cancellation = &late;
  EXPECT_EQ(b.graph->Search(query.data(), options).status().code(), StatusCode::kDeadlineExceeded);
  options.cancellation = nullptr;
  EXPECT_EQ(SearchOrFail(*b.graph, *b.rows, query, options).size(), 5u);  // what a stopped walk left does not matter
}

INSTANTIATE_TEST_SUITE_P(Cases, GraphRecallTest,
                         testing::Values(Case{Metric::kL2, Kind::kActive, 32}, Case{Metric::kL2, Kind::kSealed, 32},
                                         Case{Metric::kL2, Kind::kLean, 32}, Case{Metric::kCosine, Kind::kActive, 32},
                                         Case{Metric::kCosine, Kind::kSealed, 32},
                                         Case{Metric::kCosine, Kind::kLean, 32},
                                         Case{Metric::kInnerProduct, Kind::kActive, 32},
                                         Case{Metric::kInnerProduct, Kind::kSealed, 32},
                                         Case{Metric::kInnerProduct, Kind::kLean, 32},
                                         Case{Metric::kL2, Kind::kSealed, 100}, Case{Metric::kL2, Kind::kLean, 100}),
                         [](const auto& info) {
                           return std::string(MetricName(info.param.metric)) + KindName(info.param.kind) +
                                  std::to_string(info.param.dimension);
                         });

// Rows of which few directions hold the variance: the codes live in fewer dimensions.
TEST(SealedGraph, CodesFollowTheVariance) {
  constexpr uint32_t kDimension = 192;
  constexpr uint32_t kRows = 6000;
  auto rows = MakeRows(kDimension, kRows, Metric::kL2);
  ClusteredPoints inner(16, 20, 5);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::vector<float> basis(16 * kDimension);
  for (float& v : basis) {
    v = normal(random);
  }
  const auto next = [&] {
    const std::vector<float> low = inner.Next();
    std::vector<float> row(kDimension);
    for (uint32_t i = 0; i < kDimension; ++i) {
      row[i] = 0.05f * normal(random);
      for (uint32_t j = 0; j < 16; ++j) {
        row[i] += low[j] * basis[j * kDimension + i];
      }
    }
    return row;
  };
  for (LocalId id = 0; id < kRows; ++id) {
    SetRow(*rows, id, next());
  }
  auto active = MakeActive(rows);
  InsertAll(*active, 0, kRows, 2);
  auto narrow = SealedGraph::Build(*active, {});
  auto full = SealedGraph::Build(*active, {.code_ratio_max = 0});
  ASSERT_TRUE(narrow.ok() && full.ok());
  EXPECT_LE((*narrow)->code_dimension(), 32u);
  EXPECT_EQ((*full)->code_dimension(), kDimension);
  EXPECT_LT((*narrow)->size_bytes() * 3, (*full)->size_bytes() * 2);
  const FlatIndex flat(rows);
  for (const auto* graph : {narrow->get(), full->get()}) {
    size_t found = 0;
    for (int i = 0; i < 50; ++i) {
      const std::vector<float> query = next();
      const SearchOptions options{.k = 10, .ef = 100, .filter = {.end = kRows}};
      found += CountShared(SearchOrFail(flat, *rows, query, options), SearchOrFail(*graph, *rows, query, options));
    }
    EXPECT_GE(found, 475u);
  }
}

// Queries from another modality: half of their directions are the rows', and all lie to one side. From there all rows
// are about as far, and 1-bit estimates do not tell which is near.
TEST(SealedGraph, OfQueriesUnlikeTheRowsFindsWhatTheActiveOneFinds) {
  constexpr uint32_t kDimension = 96;
  constexpr uint32_t kInner = 40;
  constexpr uint32_t kRows = 12000 / kFewer;
  auto rows = MakeRows(kDimension, kRows, Metric::kInnerProduct);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  const auto unit = [&](std::vector<float> point) {
    for (float& v : point) {
      v += 0.1f * normal(random);
    }
    const float norm = std::sqrt(std::inner_product(point.begin(), point.end(), point.begin(), 0.0f));
    std::transform(point.begin(), point.end(), point.begin(), [norm](float v) { return v / norm; });
    return point;
  };
  ClusteredPoints inner(kInner, 50, 4);
  for (LocalId id = 0; id < kRows; ++id) {
    std::vector<float> row = inner.Next();
    row.resize(kDimension);
    SetRow(*rows, id, unit(row));
  }
  auto active = MakeActive(rows);
  InsertAll(*active, 0, kRows, 2);
  auto sealed = SealedGraph::Build(*active, {});
  ASSERT_TRUE(sealed.ok());
  const FlatIndex flat(rows);
  uint32_t found_active = 0;
  uint32_t found_sealed = 0;
  for (int i = 0; i < 100; ++i) {
    std::vector<float> query(kDimension);
    std::generate(query.begin() + kInner / 2, query.begin() + kInner / 2 + kInner, [&] { return normal(random); });
    query[kInner + 30] += 2;
    query = unit(query);
    const SearchOptions options{.k = 10, .ef = 100, .filter = {.end = kRows}};
    const std::vector<Neighbor> exact = SearchOrFail(flat, *rows, query, options);
    found_active += CountShared(exact, SearchOrFail(*active, *rows, query, options));
    found_sealed += CountShared(exact, SearchOrFail(**sealed, *rows, query, options));
  }
  EXPECT_GE(found_active, 800u);
  EXPECT_GE(found_sealed + 20, found_active);
}

// Inner product, log-normal norms, a common direction: most answers are few long rows, and to half of the rows no link
// leads by itself. Once all of those got one from the long rows, whose own links were gone then.
TEST(LeanGraph, OfUnequalNormsLeadsToTheLongRows) {
  constexpr uint32_t kDimension = 32;
  constexpr uint32_t kRows = 12000 / kFewer;
  auto rows = MakeRows(kDimension, kRows, Metric::kInnerProduct);
  std::mt19937 random(2);
  std::normal_distribution<float> normal;
  std::lognormal_distribution<float> factors(0, 0.5f);
  const auto next = [&](float factor) {
    std::vector<float> point(kDimension);
    std::generate(point.begin(), point.end(), [&] { return (normal(random) + 0.5f) * factor; });
    return point;
  };
  for (LocalId id = 0; id < kRows; ++id) {
    SetRow(*rows, id, next(factors(random)));
  }
  auto active = MakeActive(rows);
  InsertAll(*active, 0, kRows, 2);
  ASSERT_GT(active->codes().space().product_constant(), 0);
  auto lean = LeanGraph::Build(*active, {});
  ASSERT_TRUE(lean.ok());
  EXPECT_GT((*lean)->links_moved(), kRows / 4);
  const FlatIndex flat(rows);
  uint32_t found_active = 0;
  uint32_t found_lean = 0;
  for (int i = 0; i < 100; ++i) {
    const std::vector<float> query = next(1);
    const SearchOptions options{.k = 10, .ef = 40, .filter = {.end = kRows}};
    const std::vector<Neighbor> exact = SearchOrFail(flat, *rows, query, options);
    found_active += CountShared(exact, SearchOrFail(*active, *rows, query, options));
    found_lean += CountShared(exact, SearchOrFail(**lean, *rows, query, options));
  }
  EXPECT_GE(found_active, 900u);
  EXPECT_GE(found_lean + 20, found_active);
}

// Of the two kinds that take no more rows.
std::vector<std::unique_ptr<VectorIndex>> SealBothWays(const ActiveGraph& active, const SealOptions& options) {
  auto sealed = SealedGraph::Build(active, options);
  auto lean = LeanGraph::Build(active, options);
  EXPECT_TRUE(sealed.ok() && lean.ok());
  std::vector<std::unique_ptr<VectorIndex>> both;
  both.push_back(std::move(*sealed));
  both.push_back(std::move(*lean));
  return both;
}

TEST(LeanGraph, TakesAThirdOfTheRows) {
  constexpr uint32_t kDimension = 384;
  constexpr uint32_t kRows = 2000;
  auto rows = MakeRows(kDimension, kRows, Metric::kL2);
  ClusteredPoints points(kDimension, 20, 5);
  for (LocalId id = 0; id < kRows; ++id) {
    SetRow(*rows, id, points.Next());
  }
  auto active = MakeActive(rows);
  InsertAll(*active, 0, kRows, 2);
  auto lean = LeanGraph::Build(*active, {});
  ASSERT_TRUE(lean.ok());
  const size_t entry_bytes = EntryPoints::kCountMax * CodeArray::RowBytes(kDimension);
  EXPECT_LE((*lean)->size_bytes() - entry_bytes, 0.35 * kRows * kDimension * sizeof(float));
}

TEST(SealedGraph, HoldsOnlyTheLivingAndReachesAllOfThem) {
  constexpr uint32_t kRows = 5000;
  auto rows = MakeRows(16, kRows, Metric::kL2);
  ClusteredPoints points(16, 30, 5);
  for (LocalId id = 0; id < kRows; ++id) {
    SetRow(*rows, id, points.Next());
  }
  auto active = MakeActive(rows);
  InsertAll(*active, 0, kRows, 2);
  std::vector<std::atomic<uint64_t>> deleted_at(kRows);
  for (LocalId id = 0; id < kRows; id += 2) {
    deleted_at[id] = 1;
  }
  const RowFilter living{.end = kRows, .deleted_at = deleted_at.data(), .version = 1};
  // The dead are gone, whatever the reader may see; with k of all rows a walk comes by every living one.
  for (const auto& graph : SealBothWays(*active, {.threads = 2, .living = &living})) {
    const auto found = SearchOrFail(*graph, *rows, points.Next(), {.k = kRows, .filter = {.end = kRows}});
    EXPECT_EQ(found.size(), kRows / 2);
    for (const Neighbor& neighbor : found) {
      EXPECT_EQ(neighbor.id % 2, 1u);
    }
  }
}

TEST(SealedGraph, EmptyOneRowAndAllDead) {
  for (const uint32_t linked : {0u, 1u}) {
    auto rows = MakeRows(4, 1, Metric::kCosine);
    SetRow(*rows, 0, {0, 0, 0, 1});
    auto active = MakeActive(rows);
    InsertAll(*active, 0, linked, 1);
    for (const auto& graph : SealBothWays(*active, {})) {
      EXPECT_EQ(SearchOrFail(*graph, *rows, {0, 0, 0, 2}, {.k = 3, .filter = {.end = 1}}).size(), linked);
    }
    std::vector<std::atomic<uint64_t>> deleted_at(1);
    deleted_at[0] = 1;
    const RowFilter living{.end = 1, .deleted_at = deleted_at.data(), .version = 1};
    for (const auto& dead : SealBothWays(*active, {.living = &living})) {
      EXPECT_TRUE(SearchOrFail(*dead, *rows, {0, 0, 0, 2}, {.k = 3, .filter = {.end = 1}}).empty());
    }
  }
}

TEST(SealedGraph, OddDimensionsAndExtremeRows) {
  for (const uint32_t dimension : {1u, 3u, 17u, 4096u}) {
    for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct}) {
      constexpr uint32_t kRows = 60;
      auto rows = MakeRows(dimension, kRows, metric);
      ClusteredPoints points(dimension, 5, 5);
      for (LocalId id = 0; id < kRows; ++id) {
        std::vector<float> row = points.Next();
        for (float& v : row) {
          v *= id == 7 ? 1e18f : id == 8 ? 1e-30f : id % 10 == 9 ? 0.0f : 1.0f;
        }
        SetRow(*rows, id, row);
      }
      auto active = MakeActive(rows);
      InsertAll(*active, 0, kRows, 1);
      const auto both = SealBothWays(*active, {});
      for (const VectorIndex* graph :
           {static_cast<const VectorIndex*>(active.get()), static_cast<const VectorIndex*>(both[0].get()),
            static_cast<const VectorIndex*>(both[1].get())}) {
        const auto found = SearchOrFail(*graph, *rows, points.Next(), {.k = kRows, .ef = 64, .filter = {.end = kRows}});
        EXPECT_GE(found.size(), kRows * 9 / 10) << dimension << " " << MetricName(metric);
        for (const Neighbor& neighbor : found) {
          EXPECT_FALSE(std::isnan(neighbor.distance));
        }
      }
    }
  }
}

}  // namespace
}  // namespace longbow::index
