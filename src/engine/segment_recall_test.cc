// What a segment learns of its graph's recall from clients' queries, and what it tells of it.
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <vector>

#include "engine/search.h"
#include "engine/shard.h"
#include "engine/test_rows.h"
#include "index/flat_search.h"
#include "index/test_rows.h"

namespace longbow::engine {
namespace {

constexpr uint32_t kRows = 4000;
constexpr int kDimension = 48;

// One full segment of rows in clusters, sealed.
class SegmentRecall : public testing::Test {
 protected:
  void Open(const GraphMetrics* metrics) {
    SegmentOptions options = TestSegmentOptions(kRows);
    options.graph.metrics = metrics;
    shard_ = std::make_unique<Shard>(ShardId{1}, *CollectionSchema::FromArrow(schema_), options);
    std::vector<TestRow> rows(kRows);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = {static_cast<int64_t>(i), rows_.Next(), "x"};
    }
    ASSERT_TRUE(shard_->ApplyRows(TestBatch(schema_, rows), LogIndex{2}).ok());
    for (auto work = graph().ClaimWork(kRows); !work.empty(); work = graph().ClaimWork(kRows)) {
      graph().Link(work);
    }
    ASSERT_TRUE(graph().Maintain(kRows));
    ASSERT_EQ(graph().Pin(kRows).kind, GraphKind::kSealed);
    ASSERT_TRUE(graph().Maintain(kRows));
    ASSERT_NE(graph().Pin(kRows).recall, nullptr);
  }

  SegmentGraph& graph() { return segment().graph(); }
  Segment& segment() { return *shard_->Pin()->segments.front().segment; }

  double RecallOf(const std::vector<Hit>& hits, const std::vector<float>& query) {
    const auto typed = *index::TypedQuery::For(ElementType::kFloat32, Metric::kL2, QueryVector(query));
    const index::RowFilter living{.end = kRows, .deleted_at = segment().deleted_at(), .version = UINT64_MAX};
    const auto exact = *index::FlatSearch(segment().vectors(), typed, {.k = 10, .filter = living});
    const auto right = std::count_if(hits.begin(), hits.end(), [&](const Hit& hit) {
      return std::any_of(exact.begin(), exact.end(), [&](const auto& row) { return row.id == hit.ordinal; });
    });
    return static_cast<double>(right) / 10;
  }

  double Ask(const std::vector<float>& query, uint32_t ef, std::optional<double> recall_target) {
    SearchRequest request;
    request.vectors = {query};
    request.ef = ef;
    request.recall_target = recall_target;
    const auto results = Search(*shard_->Pin(), request, {}, nullptr);
    EXPECT_TRUE(results.ok()) << results.status().ToString();
    return RecallOf(results->front().hits, query);
  }

  double MeanRecall(double target, size_t queries) {
    double sum = 0;
    for (size_t i = 0; i < queries; ++i) {
      sum += Ask(foreign_.Next(), 0, target);
    }
    return sum / static_cast<double>(queries);
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  index::ClusteredPoints rows_{kDimension, 20, 7};
  index::ClusteredPoints foreign_{kDimension, 20, 99};  // not like the rows
  std::unique_ptr<Shard> shard_;
};

TEST_F(SegmentRecall, IsLearnedAgainFromWhatClientsAsk) {
  Open(nullptr);
  const auto first = graph().Pin(kRows).recall;
  constexpr double kTarget = 0.98;
  constexpr uint64_t kEnough = 63 * QuerySample::kEvery + 1;
  MeanRecall(kTarget, kEnough - 1);
  EXPECT_FALSE(graph().Maintain(kRows)) << "learned from fewer queries than it should";
  Ask(foreign_.Next(), 0, kTarget);
  EXPECT_TRUE(graph().Maintain(kRows));
  EXPECT_NE(graph().Pin(kRows).recall, first);
  EXPECT_GE(MeanRecall(kTarget, 400), kTarget - 0.01);
  EXPECT_FALSE(graph().Maintain(kRows)) << "learned again at once";
}

TEST_F(SegmentRecall, OfClientsQueriesIsAsTheyFoundIt) {
  Metrics metrics;
  GraphMetrics graph_metrics;
  graph_metrics.recall_sampled = metrics.MakeHistogram("recall", "of single searches", {0.5, 0.9, 1});
  Open(&graph_metrics);
  std::vector<RowKey> dead;
  for (uint64_t id = 3; id < kRows; id += 20) {
    dead.emplace_back(id);
  }
  shard_->ApplyDelete(dead, LogIndex{3});
  double sum = 0;
  constexpr int kChecked = 40;
  for (int i = 0; i < kChecked; ++i) {
    const std::optional<double> target = i % 2 == 0 ? std::nullopt : std::optional<double>(0.6);
    const std::vector<float> query = foreign_.Next();
    sum += Ask(query, target ? 0 : 20, target);  // kept, as the first of eight
    EXPECT_TRUE(graph().Maintain(kRows));
    EXPECT_FALSE(graph().Maintain(kRows)) << "counted twice";
    for (uint64_t other = 1; other < QuerySample::kEvery; ++other) {
      Ask(query, 400, std::nullopt);
    }
    EXPECT_FALSE(graph().Maintain(kRows)) << "more than one in " << QuerySample::kEvery;
  }
  EXPECT_LT(sum, kChecked * 0.95);  // else a check that finds everything right would do
  const std::string text = metrics.Render();
  EXPECT_NE(text.find("recall_count " + std::to_string(kChecked) + "\n"), std::string::npos) << text;
  const size_t at = text.find("recall_sum ");
  ASSERT_NE(at, std::string::npos) << text;
  EXPECT_NEAR(std::stod(text.substr(at + 11)), sum, 1e-9);
}

}  // namespace
}  // namespace longbow::engine
