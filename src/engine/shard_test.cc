#include "engine/shard.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <deque>
#include <map>
#include <set>

#include "engine/scan.h"
#include "engine/search.h"
#include "engine/test_rows.h"

namespace longbow::engine {
namespace {

constexpr int kDimension = 8;

// Drives a shard as the log would.
class ShardTest : public ::testing::Test {
 protected:
  void Put(const std::vector<TestRow>& rows) { ASSERT_TRUE(shard_.ApplyRows(TestBatch(schema_, rows), Next()).ok()); }
  void Delete(const std::vector<int64_t>& ids) {
    std::vector<RowKey> keys;
    for (const int64_t id : ids) {
      keys.emplace_back(static_cast<uint64_t>(id));
    }
    shard_.ApplyDelete(keys, Next());
  }
  LogIndex Next() { return LogIndex{++index_}; }

  std::vector<TestRow> Scan(const ScanRequest& request = {}) {
    auto cursor = ScanCursor::Open(shard_, request);
    EXPECT_TRUE(cursor.ok()) << cursor.status().ToString();
    std::vector<TestRow> rows;
    while (true) {
      auto batch = (*cursor)->Next(nullptr);
      EXPECT_TRUE(batch.ok()) << batch.status().ToString();
      if (!batch.ok() || *batch == nullptr) {
        return rows;
      }
      const std::vector<TestRow> some = RowsOf(**batch);
      rows.insert(rows.end(), some.begin(), some.end());
    }
  }
  std::vector<Hit> SearchOf(const View& view, const std::vector<float>& query, int64_t k,
                            const Predicate& filter = {}) {
    SearchRequest request;
    request.vectors = {query};
    request.k = k;
    request.filter = filter;
    auto results = Search(view, request, {.ef = 128}, nullptr);
    EXPECT_TRUE(results.ok()) << results.status().ToString();
    return results.ok() ? results->front().hits : std::vector<Hit>();
  }

  std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  Shard shard_{ShardId{1}, *CollectionSchema::FromArrow(TestSchema(kDimension)), TestSegmentOptions()};
  uint64_t index_ = 1;
  Random random_{7};
};

// Rows that are on their way to the log are staged; some are refused there, others come between.
TEST(ShardStaging, WhateverComesBetweenRowsKeepTheirVectors) {
  constexpr uint32_t kSegmentRows = 300;
  const auto schema = TestSchema(kDimension, "cosine");
  Random random(23);
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions(kSegmentRows));
  std::map<int64_t, TestRow> expected;
  std::deque<std::pair<std::shared_ptr<arrow::RecordBatch>, std::vector<TestRow>>> in_flight;
  uint64_t index = 1;
  int64_t next_id = 0;
  const auto apply = [&](const std::shared_ptr<arrow::RecordBatch>& batch, const std::vector<TestRow>& rows) {
    ASSERT_TRUE(shard.ApplyRows(batch, LogIndex{++index}).ok());
    for (const TestRow& row : rows) {
      expected[row.id] = row;
    }
  };
  for (int step = 0; step < 600; ++step) {
    if (random.Below(2) == 0 || in_flight.empty()) {
      std::vector<TestRow> rows;
      for (uint64_t left = 1 + random.Below(40); left > 0; --left) {
        rows.push_back({next_id++, RandomVector(random, kDimension), "n"});
      }
      in_flight.emplace_back(TestBatch(schema, rows), rows);
      if (random.Below(8) != 0) {  // small ones are not staged
        shard.StageRows(in_flight.back().first);
      }
    } else {
      const auto [batch, rows] = in_flight.front();
      in_flight.pop_front();
      if (random.Below(10) != 0) {  // else the log refused it
        apply(batch, rows);
      }
    }
  }
  const auto view = shard.Pin();
  size_t seen = 0;
  for (const SegmentView& part : view->segments) {
    for (const Chunk& chunk : part.chunks) {
      const auto rows = RowsOf(*chunk.rows);
      for (size_t i = 0; i < rows.size(); ++i, ++seen) {
        ASSERT_EQ(rows[i], expected.at(rows[i].id));
        double squared = 0;
        for (const float value : rows[i].vector) {
          squared += static_cast<double>(value) * value;
        }
        const auto row = static_cast<uint32_t>(chunk.first_row + i);
        ASSERT_NEAR(part.segment->vectors().inverse_norm(row), 1 / std::sqrt(squared), 1e-5);
      }
    }
  }
  EXPECT_EQ(seen, expected.size());
}

TEST(ShardStaging, ACopyMadeBeforehandIsUsed) {
  const auto schema = TestSchema(kDimension);
  Random random(5);
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions());
  ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, {{1, RandomVector(random, kDimension), "first"}}), LogIndex{1}).ok());
  const auto batch = TestBatch(schema, {{2, RandomVector(random, kDimension), "second"}});
  const std::vector<TestRow> staged = RowsOf(*batch);
  shard.StageRows(batch);
  const auto& vectors = static_cast<const arrow::FixedSizeListArray&>(*batch->column(1));
  const auto& values = static_cast<const arrow::FloatArray&>(*vectors.values());
  const_cast<float*>(values.raw_values())[0] = 7;  // nobody does; here it tells which copy is seen
  ASSERT_TRUE(shard.ApplyRows(batch, LogIndex{2}).ok());
  EXPECT_EQ(RowsOf(*shard.Pin()->segments[0].chunks.begin()[1].rows), staged);
}

TEST_F(ShardTest, RowsAreVisibleToSearchScanAndGetAsSoonAsApplied) {
  const TestRow row{42, RandomVector(random_, kDimension), "answer"};
  Put({row});
  EXPECT_EQ(Scan(), std::vector<TestRow>{row});
  const auto hits = SearchOf(*shard_.Pin(), row.vector, 1);
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_EQ(hits[0].id, 42u);
  EXPECT_FLOAT_EQ(hits[0].score, 1.0f);
  EXPECT_TRUE(shard_.Locate(RowKey(uint64_t{42})).live);
}

TEST_F(ShardTest, PutOfAKnownIdReplacesAlsoWithinOneBatch) {
  Put({{1, RandomVector(random_, kDimension), "old"}, {2, RandomVector(random_, kDimension), "two"}});
  const TestRow last{1, RandomVector(random_, kDimension), "newest"};
  Put({{1, RandomVector(random_, kDimension), "newer"}, last});
  const std::vector<TestRow> rows = Scan();
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[1], last);
  EXPECT_EQ(shard_.Pin()->live_rows, 2u);
  const auto hits = SearchOf(*shard_.Pin(), last.vector, 10);
  ASSERT_EQ(hits.size(), 2u);
  EXPECT_EQ(hits[0].id, 1u);
}

TEST_F(ShardTest, APinnedViewStaysAsItWas) {
  const TestRow row{1, RandomVector(random_, kDimension), "before"};
  Put({row});
  const std::shared_ptr<const View> before = shard_.Pin();
  Put({{1, RandomVector(random_, kDimension), "after"}, {2, RandomVector(random_, kDimension), "two"}});
  Delete({2});
  const auto hits = SearchOf(*before, row.vector, 10);
  ASSERT_EQ(hits.size(), 1u);
  EXPECT_FLOAT_EQ(hits[0].score, 1.0f);
  EXPECT_EQ(before->live_rows, 1u);
  EXPECT_EQ(shard_.Pin()->live_rows, 1u);
}

TEST_F(ShardTest, DeletedRowsAreGoneAndKnownIdsStayKnown) {
  Put({{1, RandomVector(random_, kDimension), "a"}, {2, RandomVector(random_, kDimension), "b"}});
  Delete({1});
  EXPECT_EQ(Scan().size(), 1u);
  EXPECT_FALSE(shard_.Locate(RowKey(uint64_t{1})).live);
  EXPECT_TRUE(shard_.Locate(RowKey(uint64_t{1})).ordinal.has_value());
  EXPECT_FALSE(shard_.Locate(RowKey(uint64_t{3})).ordinal.has_value());
  Delete({1});
  EXPECT_EQ(shard_.Pin()->live_rows, 1u);
  Put({{1, RandomVector(random_, kDimension), "again"}});
  EXPECT_EQ(Scan().size(), 2u);
}

TEST_F(ShardTest, ManySmallPutsAreJoinedAndNothingChanges) {
  std::vector<TestRow> expected;
  for (int64_t i = 0; i < 1000; ++i) {
    expected.push_back({i, RandomVector(random_, kDimension), "row " + std::to_string(i)});
    Put({expected.back()});
  }
  EXPECT_LT(shard_.Pin()->segments.front().chunks.count, 300u);
  EXPECT_EQ(Scan(), expected);
}

TEST(ShardSegments, BatchesCrossSegmentBounds) {
  Random random(3);
  const auto schema = TestSchema(kDimension);
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions(100));
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 350; ++i) {
    rows.push_back({i, RandomVector(random, kDimension), std::to_string(i)});
  }
  ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, rows), LogIndex{2}).ok());
  const auto view = shard.Pin();
  ASSERT_EQ(view->segments.size(), 4u);
  for (const uint64_t ordinal : {0u, 99u, 100u, 349u}) {
    EXPECT_EQ(ShownIdOf(*view, ordinal), ordinal);
    EXPECT_EQ(VectorOf(*view, ordinal)->numbers(), QueryVector(rows[ordinal].vector).numbers());
  }
}

TEST_F(ShardTest, LimitAndIdLookupInScans) {
  std::vector<TestRow> rows;
  for (int64_t i = 0; i < 100; ++i) {
    rows.push_back({i, RandomVector(random_, kDimension), std::to_string(i)});
  }
  Put(rows);
  Delete({5});
  EXPECT_EQ(Scan({.collection = "", .limit = 7, .filter = {}}).size(), 7u);
  EXPECT_EQ(Scan({.collection = "", .limit = 0, .filter = {}}).size(), 0u);
  const Predicate ids{Predicate::Op::kIn, "id", {"3", "5", "77", "1000"}, {}};
  const std::vector<TestRow> found = Scan({.collection = "", .limit = {}, .filter = ids});
  ASSERT_EQ(found.size(), 2u);
  EXPECT_EQ(found[0], rows[3]);
  EXPECT_EQ(found[1], rows[77]);
}

TEST_F(ShardTest, NewColumnsAreNullInOlderRows) {
  Put({{1, RandomVector(random_, kDimension), "old"}});
  const auto wider = *schema_->AddField(3, arrow::field("price", arrow::int32()));
  auto narrow = TestBatch(schema_, {{2, RandomVector(random_, kDimension), "new"}});
  auto columns = narrow->columns();
  columns.push_back(*arrow::MakeArrayFromScalar(arrow::Int32Scalar(9), 1));
  ASSERT_TRUE(shard_.ApplyRows(arrow::RecordBatch::Make(wider, 1, columns), Next()).ok());
  auto cursor = *ScanCursor::Open(shard_, {});
  EXPECT_EQ(cursor->schema()->num_fields(), 4);
  const auto batch = *cursor->Next(nullptr);
  ASSERT_EQ(batch->num_rows(), 2);
  EXPECT_TRUE(batch->GetColumnByName("price")->IsNull(0));
  EXPECT_FALSE(batch->GetColumnByName("price")->IsNull(1));
}

TEST_F(ShardTest, BadSearchesSayWhy) {
  Put({{1, RandomVector(random_, kDimension), "a"}});
  const auto error = [&](SearchRequest request) { return Search(*shard_.Pin(), request, {}, nullptr).status(); };
  SearchRequest request;
  EXPECT_EQ(error(request).message(), "no query vector provided");
  request.vectors = {{1, 2, 3}};
  EXPECT_EQ(error(request).message(), "dimension mismatch: expected 8, got 3");
  request.vectors = {RandomVector(random_, kDimension)};
  request.k = 0;
  EXPECT_EQ(error(request).message(), "k must be at least 1");
  request.k = 1'000'000'000;
  EXPECT_EQ(error(request).code(), StatusCode::kInvalidArgument);
  request.k = 1;
  request.vectors[0][3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_EQ(error(request).code(), StatusCode::kInvalidArgument);
  request.vectors[0][3] = 0;
  request.alpha = 1.5;
  EXPECT_EQ(error(request).code(), StatusCode::kInvalidArgument);
  request.text_query = "fox";
  request.alpha = 0.5;
  request.radius = 1;
  EXPECT_EQ(error(request).code(), StatusCode::kInvalidArgument);
}

// Every row the model holds and nothing else, by every path, whatever mix of puts, replacements, deletes and linking
// ran.
TEST(ShardProperty, AgreesWithAModel) {
  for (uint64_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    Random random(seed);
    const auto schema = TestSchema(kDimension);
    Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions(700));
    std::map<int64_t, TestRow> model;
    uint64_t index = 1;
    for (int step = 0; step < 60; ++step) {
      const uint64_t kind = random.Below(10);
      if (kind < 6) {
        std::vector<TestRow> rows(1 + random.Below(step % 7 == 0 ? 900 : 40));
        for (TestRow& row : rows) {
          row = {static_cast<int64_t>(random.Below(2000)), RandomVector(random, kDimension),
                 std::to_string(random.Below(5))};
          model[row.id] = row;
        }
        ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, rows), LogIndex{++index}).ok());
      } else if (kind < 8) {
        std::vector<RowKey> keys;
        for (uint64_t i = random.Below(50); i > 0; --i) {
          const uint64_t id = random.Below(2000);
          keys.emplace_back(id);
          model.erase(static_cast<int64_t>(id));
        }
        shard.ApplyDelete(keys, LogIndex{++index});
      } else {
        for (const SegmentView& segment : shard.Pin()->segments) {
          for (int i = 0; i < 3; ++i) {
            if (const auto work = segment.segment->graph().ClaimWork(segment.rows); !work.empty()) {
              segment.segment->graph().Link(work);
            }
          }
          segment.segment->graph().Maintain(segment.rows);
        }
      }
      const auto view = shard.Pin();
      ASSERT_EQ(view->live_rows, model.size());
      const std::vector<float> query = RandomVector(random, kDimension);
      SearchRequest request;
      request.vectors = {query};
      request.k = static_cast<int64_t>(1 + random.Below(30));
      const bool filtered = random.Below(2) == 0;
      if (filtered) {
        request.filter = {Predicate::Op::kEq, "name", {std::to_string(random.Below(5))}, {}};
      }
      std::vector<std::pair<float, int64_t>> expected;
      for (const auto& [id, row] : model) {
        if (!filtered || row.name == request.filter.values[0]) {
          float distance = 0;
          for (int d = 0; d < kDimension; ++d) {
            distance += (row.vector[d] - query[d]) * (row.vector[d] - query[d]);
          }
          expected.emplace_back(distance, id);
        }
      }
      std::sort(expected.begin(), expected.end());
      const auto results = Search(*view, request, {.ef = 200}, nullptr);
      ASSERT_TRUE(results.ok()) << results.status().ToString();
      const std::vector<Hit>& hits = results->front().hits;
      ASSERT_EQ(hits.size(), std::min<size_t>(expected.size(), static_cast<size_t>(request.k)));
      size_t right = 0;
      std::set<uint64_t> seen;
      for (const Hit& hit : hits) {
        ASSERT_TRUE(seen.insert(hit.id).second) << "id twice";
        ASSERT_TRUE(model.contains(static_cast<int64_t>(hit.id))) << "dead row";
        right += std::any_of(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(hits.size()),
                             [&](const auto& e) { return e.second == static_cast<int64_t>(hit.id); });
      }
      ASSERT_GE(static_cast<double>(right), 0.9 * static_cast<double>(hits.size()));
    }
    auto cursor = *ScanCursor::Open(shard, {});
    size_t rows = 0;
    while (const auto batch = *cursor->Next(nullptr)) {
      for (const TestRow& row : RowsOf(*batch)) {
        ASSERT_EQ(model.at(row.id), row);
        ++rows;
      }
    }
    ASSERT_EQ(rows, model.size());
  }
}

TEST(ShardMetric, ScoresAreTheMetrics) {
  for (const std::string metric : {"euclidean", "cosine", "dot_product"}) {
    const auto schema = TestSchema(2, metric);
    Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions());
    ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, {{1, {3, 4}, "a"}}), LogIndex{2}).ok());
    SearchRequest request;
    request.vectors = {{6, 8}};
    const float score = Search(*shard.Pin(), request, {}, nullptr)->front().hits.at(0).score;
    EXPECT_NEAR(score, metric == "euclidean" ? 1.0 / 6 : metric == "cosine" ? 1.0 : 50.0, 1e-5) << metric;
  }
}

}  // namespace
}  // namespace longbow::engine
