#include "index/recall_model.h"

#include <gtest/gtest.h>

#include "base/limits.h"
#include "index/calibration_queries.h"
#include "index/flat_search.h"
#include "index/sealed_graph.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

constexpr uint32_t kDimension = 48;
constexpr uint32_t kRows = 6000 / kFewer;

std::shared_ptr<VectorRows> ClusteredRows(uint32_t count, Metric metric) {
  const auto rows = MakeRows(kDimension, count, metric);
  ClusteredPoints points(kDimension, 20, 7);
  for (LocalId id = 0; id < count; ++id) {
    SetRow(*rows, id, points.Next());
  }
  return rows;
}

std::shared_ptr<const RecallModel> Calibrated(const VectorIndex& graph, const VectorRows& rows, LocalId end) {
  auto model = RecallModel::Calibrate(graph, rows, {.living = {.end = end}});
  EXPECT_TRUE(model.ok()) << model.status().ToString();
  return model.ok() ? *model : nullptr;
}

double RecallWith(const VectorIndex& graph, const VectorRows& rows, const std::vector<std::vector<float>>& queries,
                  const StopRule& rule, uint32_t k) {
  size_t shared = 0;
  for (const std::vector<float>& query : queries) {
    const SearchOptions options{.k = k, .stop = &rule, .filter = {.end = rows.capacity()}};
    const auto exact = FlatSearch(rows, query.data(), options);
    EXPECT_TRUE(exact.ok());
    shared += CountShared(SearchOrFail(graph, rows, query, options), *exact);
  }
  return static_cast<double>(shared) / static_cast<double>(queries.size() * k);
}

// Queries like the rows, and queries from other clusters.
std::vector<std::vector<float>> Queries(uint64_t seed, size_t count) {
  ClusteredPoints points(kDimension, 20, seed);
  if (seed == 7) {
    for (uint32_t i = 0; i < kRows; ++i) {
      points.Next();
    }
  }
  std::vector<std::vector<float>> queries;
  while (queries.size() < count) {
    queries.push_back(points.Next());
  }
  return queries;
}

class RecallModelTest : public testing::TestWithParam<Metric> {};

TEST_P(RecallModelTest, KeepsItsWordForQueriesItHasNotSeen) {
  const auto rows = ClusteredRows(kRows, GetParam());
  const auto active = MakeActive(rows);
  InsertAll(*active, 0, kRows, 2);
  auto sealed = SealedGraph::Build(*active, {});
  ASSERT_TRUE(sealed.ok()) << sealed.status().ToString();
  for (const VectorIndex* graph :
       {static_cast<const VectorIndex*>(active.get()), static_cast<const VectorIndex*>(sealed->get())}) {
    const auto model = Calibrated(*graph, *rows, kRows);
    ASSERT_NE(model, nullptr);
    for (const double target : {0.9, 0.95, 0.99}) {
      EXPECT_GE(RecallWith(*graph, *rows, Queries(7, 100), model->RuleFor(10, target), 10), target - 0.01) << target;
      EXPECT_GE(RecallWith(*graph, *rows, Queries(7, 40), model->RuleFor(30, target), 30), target - 0.01) << target;
    }
    // Queries from clusters of their own: once some of the kind were asked.
    const auto foreign = Queries(99, 328);
    CalibrationOptions options{.living = {.end = kRows}};
    options.asked.assign(foreign.begin(), foreign.begin() + 128);
    const auto learned = RecallModel::Calibrate(*graph, *rows, options);
    ASSERT_TRUE(learned.ok()) << learned.status().ToString();
    for (const double target : {0.9, 0.95, 0.99}) {
      const double recall =
          RecallWith(*graph, *rows, {foreign.begin() + 128, foreign.end()}, (*learned)->RuleFor(10, target), 10);
      EXPECT_GE(recall, target - 0.015) << target << (graph == active.get() ? " active" : " sealed");
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Metrics, RecallModelTest, testing::Values(Metric::kL2, Metric::kCosine, Metric::kInnerProduct),
                         [](const auto& info) { return std::string(MetricName(info.param)); });

TEST(RecallModel, MoreRecallMoreKAndHarderQueriesNeverTakeLess) {
  const auto rows = ClusteredRows(kRows, Metric::kL2);
  const auto graph = MakeActive(rows);
  InsertAll(*graph, 0, kRows, 2);
  const auto model = Calibrated(*graph, *rows, kRows);
  ASSERT_NE(model, nullptr);
  StopRule before;
  for (const double target : {0.5, 0.9, 0.95, 0.99, 0.999, 0.9999}) {
    const StopRule rule = model->RuleFor(10, target);
    EXPECT_TRUE(std::is_sorted(rule.ef.begin(), rule.ef.end())) << target;
    EXPECT_TRUE(std::is_sorted(rule.spread_below.rbegin(), rule.spread_below.rend())) << target;
    for (size_t c = 0; c < StopRule::kClasses; ++c) {
      EXPECT_GE(model->RuleFor(1000, target).ef[c], model->RuleFor(100, target).ef[c]);
      EXPECT_GE(model->RuleFor(1000, target).ef[c], 1000u);
    }
    before = rule;
  }
  EXPECT_GT(before.ef[0], model->RuleFor(10, 0.5).ef[0]);
  EXPECT_LE(model->RuleFor(100'000, 0.9999).ef.back(), limits::kEfMax);
  EXPECT_LT(EfWithoutModel(10, 0.9), EfWithoutModel(10, 0.99));
  EXPECT_GE(EfWithoutModel(1000, 0.9), 1000u);
}

TEST(RecallModel, NothingIsLearnedOfFewerThanTwoRows) {
  const auto rows = ClusteredRows(2, Metric::kL2);
  const auto graph = MakeActive(rows);
  InsertAll(*graph, 0, 2, 1);
  EXPECT_EQ(Calibrated(*graph, *rows, 0), nullptr);
  EXPECT_EQ(Calibrated(*graph, *rows, 1), nullptr);
  EXPECT_NE(Calibrated(*graph, *rows, 2), nullptr);
}

TEST(RecallModel, RowsThatAllEqual) {
  const auto rows = MakeRows(8, 500, Metric::kCosine);
  for (LocalId id = 0; id < 500; ++id) {
    SetRow(*rows, id, std::vector<float>(8, id % 2 == 0 ? 1.0f : 0.0f));
  }
  const auto graph = MakeActive(rows);
  InsertAll(*graph, 0, 500, 1);
  const auto model = Calibrated(*graph, *rows, 500);
  ASSERT_NE(model, nullptr);
  const StopRule rule = model->RuleFor(10, 0.95);
  EXPECT_EQ(SearchOrFail(*graph, *rows, std::vector<float>(8, 1.0f), {.stop = &rule, .filter = {.end = 500}}).size(),
            10u);
}

TEST(CalibrationQueries, HaveTheExactAnswersOfWhatLives) {
  const auto rows = ClusteredRows(300, Metric::kL2);
  std::vector<std::atomic<uint64_t>> deleted_at(300);
  for (LocalId id = 0; id < 300; id += 3) {
    deleted_at[id] = 1;
  }
  const CalibrationOptions options{.living = {.end = 300, .deleted_at = deleted_at.data(), .version = 1},
                                   .asked = {QueryVector(std::vector<float>(kDimension, 0.25f))},
                                   .queries_per_kind = 8};
  auto queries = MakeCalibrationQueries(*rows, options);
  ASSERT_TRUE(queries.ok()) << queries.status().ToString();
  ASSERT_EQ(queries->size(), 4u * 8 + 1);
  ASSERT_TRUE(FindNearest(*rows, 10, options, *queries).ok());
  size_t left_out = 0;
  for (const CalibrationQuery& query : *queries) {
    const auto exact = FlatSearch(*rows, query.query, {.k = 11, .filter = options.living});
    ASSERT_TRUE(exact.ok());
    std::vector<double> nearest;
    for (const Neighbor& neighbor : *exact) {
      if (neighbor.id != query.left_out && nearest.size() < 10) {
        nearest.push_back(neighbor.distance);
      }
    }
    EXPECT_EQ(query.nearest, nearest);
    if (query.left_out != kNoRow) {
      ++left_out;
      EXPECT_TRUE(options.living.Contains(query.left_out));
    }
  }
  EXPECT_EQ(left_out, 32u);
}

TEST(LeftOut, ARowIsNeitherFoundNorNeeded) {
  const auto rows = ClusteredRows(1000, Metric::kL2);
  const auto active = MakeActive(rows);
  InsertAll(*active, 0, 1000, 1);
  auto sealed = SealedGraph::Build(*active, {});
  ASSERT_TRUE(sealed.ok());
  for (LocalId id = 0; id < 1000; id += 37) {
    const std::vector<float> query(rows->row(id), rows->row(id) + kDimension);
    const SearchOptions options{.k = 10, .ef = 200, .left_out = id, .filter = {.end = 1000}};
    for (const VectorIndex* graph :
         {static_cast<const VectorIndex*>(active.get()), static_cast<const VectorIndex*>(sealed->get())}) {
      const auto found = SearchOrFail(*graph, *rows, query, options);
      EXPECT_EQ(found.size(), 10u);
      EXPECT_TRUE(std::none_of(found.begin(), found.end(), [&](const Neighbor& row) { return row.id == id; })) << id;
    }
    EXPECT_EQ(SearchOrFail(**sealed, *rows, query, {.k = 10, .ef = 200, .filter = {.end = 1000}}).front().id, id);
  }
}

}  // namespace
}  // namespace longbow::index
