// Filtered searches and searches within a limit against brute force, while rows come and go and indexes are built.
#include <arrow/api.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

#include "engine/scan.h"
#include "engine/search.h"
#include "engine/shard.h"
#include "engine/test_rows.h"

namespace longbow::engine {
namespace {

using Op = Predicate::Op;

constexpr int kDimension = 8;
constexpr uint64_t kNames = 50;

// A row's name is its group in two digits; every tenth row's is empty.
std::string NameOf(Random& random) {
  const uint64_t group = random.Below(kNames);
  return random.Below(10) == 0 ? "" : std::string(group < 10 ? "0" : "") + std::to_string(group);
}

Predicate RandomFilter(Random& random) {
  const std::string name = std::to_string(10 + random.Below(kNames - 10));
  const std::string id = std::to_string(random.Below(12'000));
  switch (random.Below(7)) {
    case 0:
      return {Op::kEq, "name", {name}, {}};
    case 1:
      return {Op::kLt, "name", {name}, {}};
    case 2:
      return {Op::kContains, "name", {"3"}, {}};
    case 3:
      return {Op::kGe, "id", {id}, {}};
    case 4:
      return {Op::kAnd, "", {}, {{Op::kGt, "id", {id}, {}}, {Op::kNe, "name", {""}, {}}}};
    case 5:
      return {Op::kOr, "", {}, {{Op::kPrefix, "name", {"1"}, {}}, {Op::kBetween, "id", {"5", "2000"}, {}}}};
    default:
      return {Op::kNotIn, "name", {name, "01", "02"}, {}};
  }
}

bool Holds(const Predicate& filter, const TestRow& row) {
  const auto& value = filter.values;
  switch (filter.op) {
    case Op::kAnd:
      return std::all_of(filter.children.begin(), filter.children.end(), [&](const auto& f) { return Holds(f, row); });
    case Op::kOr:
      return std::any_of(filter.children.begin(), filter.children.end(), [&](const auto& f) { return Holds(f, row); });
    case Op::kEq:
      return row.name == value[0];
    case Op::kNe:
      return row.name != value[0];
    case Op::kLt:
      return row.name < value[0];
    case Op::kContains:
      return row.name.find(value[0]) != std::string::npos;
    case Op::kPrefix:
      return row.name.starts_with(value[0]);
    case Op::kNotIn:
      return std::find(value.begin(), value.end(), row.name) == value.end();
    case Op::kGe:
      return row.id >= std::stoll(value[0]);
    case Op::kGt:
      return row.id > std::stoll(value[0]);
    case Op::kBetween:
      return row.id >= std::stoll(value[0]) && row.id <= std::stoll(value[1]);
    default:
      ADD_FAILURE();
      return false;
  }
}

float Distance(const std::vector<float>& a, const QueryVector& query) {
  const std::vector<float> b(query.numbers().begin(), query.numbers().end());
  float sum = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    sum += (a[i] - b[i]) * (a[i] - b[i]);
  }
  return sum;
}

class FilteredSearch : public ::testing::Test {
 protected:
  FilteredSearch() {
    SegmentOptions options = TestSegmentOptions(5000);
    options.filters.rows_min = 1000;
    shard_ = std::make_unique<Shard>(ShardId{1}, *CollectionSchema::FromArrow(schema_), options);
  }

  void Put(size_t count) {
    std::vector<TestRow> rows(count);
    for (TestRow& row : rows) {
      row = {static_cast<int64_t>(random_.Below(12'000)), RandomVector(random_, kDimension), NameOf(random_)};
      model_[row.id] = row;
    }
    ASSERT_TRUE(shard_->ApplyRows(TestBatch(schema_, rows), LogIndex{++index_}).ok());
  }
  void DeleteSome() {
    std::vector<RowKey> keys;
    for (uint64_t i = random_.Below(200); i > 0; --i) {
      const uint64_t id = random_.Below(12'000);
      keys.emplace_back(id);
      model_.erase(static_cast<int64_t>(id));
    }
    shard_->ApplyDelete(keys, LogIndex{++index_});
  }
  void LinkAll() {
    for (const SegmentView& segment : shard_->Pin()->segments) {
      for (auto work = segment.segment->graph().ClaimWork(segment.rows); !work.empty();
           work = segment.segment->graph().ClaimWork(segment.rows)) {
        segment.segment->graph().Link(work);
      }
    }
  }
  int BuildFilters() {
    int built = 0;
    const auto view = shard_->Pin();
    for (const SegmentView& segment : view->segments) {
      while (segment.segment->filters().BuildSome(*view->schema, segment.chunks, &segment.segment->vectors())) {
        ++built;
      }
    }
    return built;
  }
  std::vector<std::pair<float, int64_t>> Expected(const QueryVector& query, const Predicate* filter) const {
    std::vector<std::pair<float, int64_t>> expected;
    for (const auto& [id, row] : model_) {
      if (filter == nullptr || Holds(*filter, row)) {
        expected.emplace_back(Distance(row.vector, query), id);
      }
    }
    std::sort(expected.begin(), expected.end());
    return expected;
  }

  const std::shared_ptr<arrow::Schema> schema_ = TestSchema(kDimension);
  std::unique_ptr<Shard> shard_;
  std::map<int64_t, TestRow> model_;
  uint64_t index_ = 1;
  Random random_{11};
};

TEST_F(FilteredSearch, AgreesWithBruteForceByEveryMethod) {
  std::map<SearchMethod, int> methods;
  size_t right = 0;
  size_t asked = 0;
  int built = 0;
  for (int step = 0; step < 14; ++step) {
    Put(1 + random_.Below(2) * 1100 + random_.Below(600));
    if (step % 3 == 1) {
      DeleteSome();
    }
    if (step % 2 == 0) {
      LinkAll();
    }
    if (step % 4 == 3) {
      built += BuildFilters();
    }
    for (int round = 0; round < 12; ++round) {
      SearchRequest request;
      request.vectors = {RandomVector(random_, kDimension)};
      request.ef = round % 3 == 0 ? 16 : 100;
      request.k = static_cast<int64_t>(1 + random_.Below(request.ef / 5));
      request.filter = RandomFilter(random_);
      request.explain = true;
      const auto expected = Expected(request.vectors[0], &request.filter);
      const auto results = Search(*shard_->Pin(), request, {.ef = 100}, nullptr);
      ASSERT_TRUE(results.ok()) << results.status().ToString();
      const std::vector<Hit>& hits = results->front().hits;
      ASSERT_EQ(hits.size(), std::min<size_t>(expected.size(), static_cast<size_t>(request.k)));
      for (const Hit& hit : hits) {
        ASSERT_TRUE(model_.contains(static_cast<int64_t>(hit.id)));
        ASSERT_TRUE(Holds(request.filter, model_.at(static_cast<int64_t>(hit.id))));
        right += static_cast<size_t>(
            std::any_of(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(hits.size()),
                        [&](const auto& e) { return e.second == static_cast<int64_t>(hit.id); }));
      }
      asked += hits.size();
      ASSERT_TRUE(results->front().explanation.has_value());
      for (const SegmentExplanation& part : results->front().explanation->segments) {
        ++methods[part.method];
        EXPECT_GE(part.estimated_selectivity, 0);
        EXPECT_LE(part.estimated_selectivity, 1);
        ASSERT_TRUE(part.actual_selectivity.has_value());
        EXPECT_GT(part.rows, 0u);
      }

      ScanRequest scan;
      scan.filter = request.filter;
      auto cursor = *ScanCursor::Open(*shard_, scan);
      size_t scanned = 0;
      while (const auto batch = *cursor->Next(nullptr)) {
        for (const TestRow& row : RowsOf(*batch)) {
          ASSERT_EQ(model_.at(row.id), row);
          ASSERT_TRUE(Holds(request.filter, row));
          ++scanned;
        }
      }
      ASSERT_EQ(scanned, expected.size());
    }
  }
  EXPECT_GE(static_cast<double>(right), 0.95 * static_cast<double>(asked));
  EXPECT_GT(built, 4);
  EXPECT_GT(methods[SearchMethod::kScan], 0);
  EXPECT_GT(methods[SearchMethod::kFilteredWalk], 0);
}

TEST(WideFilter, IsCheckedRowByRowAndGivesWayToABitmap) {
  Random random(5);
  const auto schema = TestSchema(2);
  SegmentOptions options = TestSegmentOptions(40'000);
  options.graph.active = {.ef_construction = 32};
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), options);
  std::vector<TestRow> rows(36'000);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {static_cast<int64_t>(i), RandomVector(random, 2), std::to_string(i % 10)};
    // Around one point nothing passes, so that rows checked there are not enough.
    if (Distance(rows[i].vector, {0.5f, 0.5f}) < 0.05f) {
      rows[i].name = "0";
    }
  }
  ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, rows), LogIndex{2}).ok());
  Segment& segment = *shard.Pin()->segments.front().segment;
  for (auto work = segment.graph().ClaimWork(36'000); !work.empty(); work = segment.graph().ClaimWork(36'000)) {
    segment.graph().Link(work);
  }
  for (const bool empty_around : {false, true}) {
    SearchRequest request;
    request.vectors = {empty_around ? std::vector<float>{0.5f, 0.5f} : std::vector<float>{-0.5f, -0.5f}};
    request.filter = {Op::kNe, "name", {"0"}, {}};
    request.explain = true;
    std::vector<std::pair<float, uint64_t>> expected;
    for (const TestRow& row : rows) {
      if (row.name != "0") {
        expected.emplace_back(Distance(row.vector, request.vectors[0]), static_cast<uint64_t>(row.id));
      }
    }
    std::sort(expected.begin(), expected.end());
    const auto results = Search(*shard.Pin(), request, {.ef = 64}, nullptr);
    ASSERT_TRUE(results.ok());
    ASSERT_EQ(results->front().hits.size(), 10u);
    size_t right = 0;
    for (const Hit& hit : results->front().hits) {
      right += static_cast<size_t>(
          std::any_of(expected.begin(), expected.begin() + 10, [&](const auto& e) { return e.second == hit.id; }));
    }
    EXPECT_GE(right, 9u);
    const SegmentExplanation& part = results->front().explanation->segments.at(0);
    EXPECT_NEAR(part.estimated_selectivity, 0.9, 0.06);
    EXPECT_EQ(part.method == SearchMethod::kWalkThenCheck, !empty_around);
    EXPECT_EQ(part.actual_selectivity.has_value(), empty_around);
  }
}

// Vectors of 96 dimensions on a plane of 6, as embeddings are.
class ProjectedSearch : public ::testing::Test {
 protected:
  static constexpr int kWide = 96;
  ProjectedSearch() {
    for (auto& axis : axes_) {
      axis = RandomVector(random_, kWide);
    }
  }
  std::vector<float> Wide() {
    std::vector<float> vector(kWide, 0.0f);
    for (const auto& axis : axes_) {
      const auto at = static_cast<float>(random_.Fraction() * 2 - 1);
      for (int d = 0; d < kWide; ++d) {
        vector[static_cast<size_t>(d)] += at * axis[static_cast<size_t>(d)];
      }
    }
    return vector;
  }
  Random random_{21};
  std::array<std::vector<float>, 6> axes_;
};

TEST_F(ProjectedSearch, RangesConjunctionsDeletesAndRowsThatCameLater) {
  const auto schema = TestSchema(kWide);
  Shard shard(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions(20'000));
  std::map<int64_t, TestRow> model;
  uint64_t index = 1;
  const auto put = [&](int64_t first, int64_t count) {
    std::vector<TestRow> rows;
    for (int64_t id = first; id < first + count; ++id) {
      rows.push_back({id, Wide(), NameOf(random_)});
      model[id] = rows.back();
    }
    ASSERT_TRUE(shard.ApplyRows(TestBatch(schema, rows), LogIndex{++index}).ok());
  };
  put(0, 8000);
  Segment& segment = *shard.Pin()->segments.front().segment;
  for (auto work = segment.graph().ClaimWork(8000); !work.empty(); work = segment.graph().ClaimWork(8000)) {
    segment.graph().Link(work);
  }
  const auto build = [&] {
    const auto view = shard.Pin();
    int built = 0;
    while (segment.filters().BuildSome(*view->schema, view->segments[0].chunks, &segment.vectors())) {
      ++built;
    }
    return built;
  };
  std::map<SearchMethod, int> methods;
  size_t right = 0;
  size_t asked = 0;
  const auto search = [&](const Predicate& filter) {
    SearchRequest request;
    request.vectors = {Wide()};
    request.filter = filter;
    request.explain = true;
    std::vector<std::pair<float, uint64_t>> expected;
    for (const auto& [id, row] : model) {
      if (Holds(filter, row)) {
        expected.emplace_back(Distance(row.vector, request.vectors[0]), static_cast<uint64_t>(id));
      }
    }
    std::sort(expected.begin(), expected.end());
    const auto results = Search(*shard.Pin(), request, {.ef = 128}, nullptr);
    ASSERT_TRUE(results.ok());
    const std::vector<Hit>& hits = results->front().hits;
    ASSERT_EQ(hits.size(), std::min<size_t>(10, expected.size()));
    for (const Hit& hit : hits) {
      ASSERT_TRUE(Holds(filter, model.at(static_cast<int64_t>(hit.id))));
      right +=
          static_cast<size_t>(std::any_of(expected.begin(), expected.begin() + static_cast<std::ptrdiff_t>(hits.size()),
                                          [&](const auto& e) { return e.second == hit.id; }));
    }
    asked += hits.size();
    const SegmentExplanation& part = results->front().explanation->segments.at(0);
    ++methods[part.method];
    if (part.method == SearchMethod::kProjectionScan) {
      EXPECT_GE(part.refined, 64u);
    }
  };
  const Predicate range{Op::kBetween, "id", {"4000", "8700"}, {}};
  const Predicate conjunction{
      Op::kAnd, "", {}, {{Op::kBetween, "id", {"500", "4300"}, {}}, {Op::kNe, "name", {""}, {}}}};
  for (int round = 0; round < 8; ++round) {
    search(round % 2 == 0 ? range : conjunction);
    build();
  }
  EXPECT_GT(methods[SearchMethod::kProjectionScan], 0);
  EXPECT_GT(segment.filters().size_bytes(), 8000u * (96 / 8 + 12));
  std::vector<RowKey> keys;
  for (uint64_t id = 4000; id < 4500; id += 2) {
    keys.emplace_back(id);
    model.erase(static_cast<int64_t>(id));
  }
  shard.ApplyDelete(keys, LogIndex{++index});
  put(8000, 1500);  // neither linked nor projected
  methods.clear();
  for (int round = 0; round < 20; ++round) {
    search(round % 2 == 0 ? range : conjunction);
  }
  EXPECT_EQ(methods[SearchMethod::kProjectionScan], 20);
  put(9500, 2000);  // now worth indexing anew: the projection follows
  EXPECT_GT(build(), 1);
  methods.clear();
  for (int round = 0; round < 20; ++round) {
    search(round % 2 == 0 ? range : conjunction);
  }
  EXPECT_EQ(methods[SearchMethod::kProjectionScan], 20);
  EXPECT_GE(static_cast<double>(right), 0.95 * static_cast<double>(asked));
}

TEST_F(FilteredSearch, WithinALimitAgreesWithBruteForce) {
  for (int step = 0; step < 4; ++step) {
    Put(2500);
  }
  LinkAll();
  DeleteSome();
  size_t right = 0;
  size_t exist = 0;
  for (int round = 0; round < 60; ++round) {
    SearchRequest request;
    request.vectors = {RandomVector(random_, kDimension)};
    request.k = round % 3 == 0 ? 10 : 100'000;
    const bool filtered = round % 2 == 0;
    if (filtered) {
      request.filter = RandomFilter(random_);
    }
    std::vector<std::pair<float, int64_t>> expected =
        Expected(request.vectors[0], filtered ? &request.filter : nullptr);
    const double radius = 0.5 + 0.05 * static_cast<double>(random_.Below(30));
    if (round % 4 < 2) {
      request.radius = radius;
    } else {
      request.score_min = 1 / (1 + radius);
    }
    std::erase_if(expected, [&](const auto& e) { return std::sqrt(static_cast<double>(e.first)) > radius; });
    const auto results = Search(*shard_->Pin(), request, {.ef = 100}, nullptr);
    ASSERT_TRUE(results.ok()) << results.status().ToString();
    const std::vector<Hit>& hits = results->front().hits;
    const size_t wanted = std::min<size_t>(expected.size(), static_cast<size_t>(request.k));
    ASSERT_LE(hits.size(), wanted + 1);  // a row at the limit itself may fall on either side by rounding
    for (const Hit& hit : hits) {
      EXPECT_LE(1 / static_cast<double>(hit.score) - 1, radius + 1e-4);
    }
    right += std::min(hits.size(), wanted);
    exist += wanted;
  }
  EXPECT_GT(exist, 5000u);
  EXPECT_GE(static_cast<double>(right), 0.97 * static_cast<double>(exist));
}

TEST_F(FilteredSearch, WithinALimitScannedIsExact) {
  Put(1500);  // too few for a walk
  for (int round = 0; round < 20; ++round) {
    SearchRequest request;
    request.vectors = {RandomVector(random_, kDimension)};
    request.k = 5000;
    const double radius = 0.1 * static_cast<double>(random_.Below(25));
    request.radius = radius;
    auto expected = Expected(request.vectors[0], nullptr);
    std::erase_if(expected, [&](const auto& e) { return std::sqrt(static_cast<double>(e.first)) > radius; });
    const auto results = Search(*shard_->Pin(), request, {}, nullptr);
    ASSERT_TRUE(results.ok());
    EXPECT_NEAR(static_cast<double>(results->front().hits.size()), static_cast<double>(expected.size()), 1);
  }
}

TEST_F(FilteredSearch, BadLimitsSayWhy) {
  Put(10);
  SearchRequest request;
  request.vectors = {RandomVector(random_, kDimension)};
  request.radius = -1;
  EXPECT_EQ(Search(*shard_->Pin(), request, {}, nullptr).status().code(), StatusCode::kInvalidArgument);
  request.radius = std::nan("");
  EXPECT_EQ(Search(*shard_->Pin(), request, {}, nullptr).status().code(), StatusCode::kInvalidArgument);
  request.radius.reset();
  request.score_min = std::numeric_limits<double>::infinity();
  EXPECT_EQ(Search(*shard_->Pin(), request, {}, nullptr).status().code(), StatusCode::kInvalidArgument);

  const auto schema = TestSchema(2, "dot_product");
  Shard products(ShardId{1}, *CollectionSchema::FromArrow(schema), TestSegmentOptions());
  ASSERT_TRUE(products.ApplyRows(TestBatch(schema, {{1, {3, 4}, "a"}, {2, {-3, 4}, "b"}}), LogIndex{2}).ok());
  SearchRequest product;
  product.vectors = {{1, 0}};
  product.radius = 1;
  EXPECT_EQ(Search(*products.Pin(), product, {}, nullptr).status().code(), StatusCode::kInvalidArgument);
  product.radius.reset();
  product.score_min = 0;
  EXPECT_EQ(Search(*products.Pin(), product, {}, nullptr)->front().hits.size(), 1u);
}

}  // namespace
}  // namespace longbow::engine
