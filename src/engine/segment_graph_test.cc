// Which graph a segment has, and what searches say about it.
#include "engine/segment_graph.h"

#include <gtest/gtest.h>

#include "engine/search.h"
#include "engine/shard.h"
#include "engine/test_rows.h"

namespace longbow::engine {
namespace {

class SegmentGraphKind : public testing::TestWithParam<IndexMemory> {};

TEST_P(SegmentGraphKind, FollowsTheSegmentsLifeAndIsExplained) {
  constexpr uint32_t kRows = 3000;
  constexpr int kDimension = 8;
  Random random(3);
  const auto schema = TestSchema(kDimension);
  SegmentOptions options = TestSegmentOptions(kRows);
  options.graph.first_rows = 1024;
  options.graph.rest = std::chrono::hours(1);
  options.graph.look_period = std::chrono::milliseconds(0);
  options.graph.memory = GetParam();
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), options);
  std::vector<TestRow> rows(kRows);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {static_cast<int64_t>(i), RandomVector(random, kDimension), "x"};
  }
  const auto graph_of_search = [&](uint32_t self) {
    SearchRequest request;
    request.vectors = {rows[self].vector};
    request.explain = true;
    const auto results = Search(*shard.Pin(), request, {.ef = 64}, nullptr);
    EXPECT_TRUE(results.ok()) << results.status().ToString();
    EXPECT_EQ(results->front().hits.size(), 10u);
    EXPECT_EQ(results->front().hits.front().id, self);
    return results->front().explanation->segments.at(0).graph;
  };

  ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, {rows.begin(), rows.begin() + 2900}), LogIndex{2}).ok());
  Segment& segment = *shard.Pin()->segments.front().segment;
  EXPECT_EQ(graph_of_search(5), GraphKind::kNone);
  const auto link = [&](uint32_t published) {
    for (auto work = segment.graph().ClaimWork(published); !work.empty(); work = segment.graph().ClaimWork(published)) {
      segment.graph().Link(work);
    }
  };
  link(2900);
  EXPECT_EQ(graph_of_search(6), GraphKind::kActive);
  EXPECT_FALSE(segment.graph().Maintain(2900));  // neither full nor at rest
  ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, {rows.begin() + 2900, rows.end()}), LogIndex{3}).ok());
  link(kRows);
  EXPECT_TRUE(segment.graph().Maintain(kRows));
  EXPECT_EQ(graph_of_search(2950), GetParam() == IndexMemory::kLean ? GraphKind::kLean : GraphKind::kSealed);
  EXPECT_EQ(segment.graph().Pin(kRows).rows, kRows);
  EXPECT_GT(segment.graph().Pin(kRows).step_bytes, 0u);
}

INSTANTIATE_TEST_SUITE_P(Memory, SegmentGraphKind, testing::Values(IndexMemory::kFast, IndexMemory::kLean));

// Its edges go by inner product; codes of neighbours relative to each other would say nothing.
TEST(SegmentGraphOfUnequalNorms, IsSealedLeanAndLearnsItsRecall) {
  constexpr uint32_t kRows = 2000;
  const auto schema = TestSchema(8, "dot_product");
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions(kRows));
  Random random(3);
  std::vector<TestRow> rows(kRows);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {static_cast<int64_t>(i), RandomVectorOfAnyNorm(random, 8), "x"};
  }
  ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, rows), LogIndex{2}).ok());
  SegmentGraph& graph = shard.Pin()->segments.front().segment->graph();
  for (auto work = graph.ClaimWork(kRows); !work.empty(); work = graph.ClaimWork(kRows)) {
    graph.Link(work);
  }
  EXPECT_TRUE(graph.Maintain(kRows));
  EXPECT_EQ(graph.Pin(kRows).kind, GraphKind::kLean);
  EXPECT_EQ(graph.sealed().rows, kRows);
  EXPECT_TRUE(graph.Maintain(kRows));
  EXPECT_NE(graph.Pin(kRows).recall, nullptr);
}

// A full segment of linked rows.
class CancelledMaintenance : public testing::Test {
 protected:
  static constexpr uint32_t kRows = 3000;

  void Open(uint32_t capacity) {
    metrics_.seals = registry_.MakeCounter("seals", "");
    metrics_.unlinked_rows = registry_.MakeCounter("unlinked", "");
    metrics_.failures = registry_.MakeCounter("failures", "");
    SegmentOptions options = TestSegmentOptions(capacity);
    options.graph.metrics = &metrics_;
    options.graph.seal_rows_min = capacity;
    const auto schema = TestSchema(8);
    shard_ = std::make_unique<Shard>(ShardId{1}, *CollectionSchema::FromArrow(schema), options);
    Random random(3);
    std::vector<TestRow> rows(kRows);
    for (size_t i = 0; i < rows.size(); ++i) {
      rows[i] = {static_cast<int64_t>(i), RandomVector(random, 8), "x"};
    }
    ASSERT_TRUE(shard_->ApplyRows(TestBatch(schema, rows), LogIndex{2}).ok());
    for (auto work = graph().ClaimWork(kRows); !work.empty(); work = graph().ClaimWork(kRows)) {
      graph().Link(work);
    }
    stopped_.Cancel();
  }
  SegmentGraph& graph() { return shard_->Pin()->segments.front().segment->graph(); }
  bool Says(const std::string& line) { return registry_.Render().find("\n" + line + "\n") != std::string::npos; }

  Metrics registry_;
  GraphMetrics metrics_;
  std::unique_ptr<Shard> shard_;
  Cancellation stopped_;
};

TEST_F(CancelledMaintenance, OfSealingAndLearningIsDueAgain) {
  Open(kRows);
  EXPECT_TRUE(graph().Maintain(kRows, {.cancellation = &stopped_}));
  EXPECT_EQ(graph().Pin(kRows).kind, GraphKind::kActive);
  EXPECT_TRUE(Says("seals 0"));
  EXPECT_TRUE(graph().Maintain(kRows, {.threads = 3}));
  EXPECT_EQ(graph().Pin(kRows).kind, GraphKind::kSealed);
  EXPECT_TRUE(Says("seals 1"));
  EXPECT_TRUE(graph().Maintain(kRows, {.cancellation = &stopped_}));
  EXPECT_EQ(graph().Pin(kRows).recall, nullptr);
  EXPECT_TRUE(graph().Maintain(kRows));
  EXPECT_NE(graph().Pin(kRows).recall, nullptr);
  EXPECT_TRUE(Says("failures 0"));
}

TEST_F(CancelledMaintenance, OfUnlinkingIsDueAgain) {
  Open(kRows + 100);
  std::vector<RowKey> dead;
  for (uint64_t id = 0; id < kRows; id += 5) {
    dead.emplace_back(id);
  }
  shard_->ApplyDelete(dead, LogIndex{3});
  EXPECT_TRUE(graph().Maintain(kRows, {.cancellation = &stopped_}));
  EXPECT_TRUE(Says("unlinked 0"));
  EXPECT_TRUE(graph().Maintain(kRows));
  EXPECT_TRUE(Says("unlinked 600"));
  EXPECT_EQ(graph().CountUnreachableRows(), 0u);
}

}  // namespace
}  // namespace longbow::engine
