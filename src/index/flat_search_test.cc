#include "index/flat_search.h"
#include "index/query_distance.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "index/test_rows.h"

namespace longbow::index {
namespace {

constexpr uint32_t kDimension = 19;
constexpr uint32_t kRows = 3001;

class FlatSearchTest : public testing::TestWithParam<Metric> {
 protected:
  void SetUp() override {
    rows_ = MakeRows(kDimension, kRows, GetParam());
    ClusteredPoints points(kDimension, 20, 11);
    for (LocalId id = 0; id < kRows; ++id) {
      // Every fifth row is a copy of an earlier one, so that ties happen.
      SetRow(*rows_, id,
             id % 5 == 4 ? std::vector<float>(rows_->row(id / 2), rows_->row(id / 2) + kDimension) : points.Next());
    }
    for (int i = 0; i < 8; ++i) {
      queries_.push_back(points.Next());
    }
  }

  // One row at a time, everything sorted.
  std::vector<Neighbor> Expected(const std::vector<float>& query, const SearchOptions& options) {
    const QueryDistance distance(*rows_, query.data());
    std::vector<Neighbor> all;
    for (LocalId id = 0; id < kRows; ++id) {
      if (options.filter.Contains(id)) {
        all.push_back({distance.To(id), id});
      }
    }
    std::sort(all.begin(), all.end());
    all.resize(std::min<size_t>(all.size(), options.k));
    return all;
  }

  void ExpectExact(const SearchOptions& options) {
    const FlatIndex index(rows_);
    for (const std::vector<float>& query : queries_) {
      const std::vector<Neighbor> expected = Expected(query, options);
      const std::vector<Neighbor> got = SearchOrFail(index, *rows_, query, options);
      ASSERT_EQ(got.size(), expected.size());
      for (size_t i = 0; i < got.size(); ++i) {
        ASSERT_EQ(got[i].id, expected[i].id) << "place " << i;
        ASSERT_EQ(got[i].distance, expected[i].distance) << "place " << i;
      }
    }
  }

  std::shared_ptr<VectorRows> rows_;
  std::vector<std::vector<float>> queries_;
};

TEST_P(FlatSearchTest, EveryRangeAndK) {
  for (const auto& [begin, end] : std::vector<std::pair<LocalId, LocalId>>{{0, kRows},
                                                                           {0, 1},
                                                                           {0, 63},
                                                                           {0, 64},
                                                                           {1, 64},
                                                                           {63, 65},
                                                                           {64, 128},
                                                                           {100, 101},
                                                                           {77, 2999},
                                                                           {3000, 3001},
                                                                           {5, 5},
                                                                           {9, 3}}) {
    for (const uint32_t k : {1u, 10u, 64u, kRows, 100'000u}) {
      SCOPED_TRACE(testing::Message() << "[" << begin << ", " << end << ") k " << k);
      ExpectExact({.k = k, .filter = {.begin = begin, .end = end}});
    }
  }
}

TEST_P(FlatSearchTest, PredicateOfAnySelectivity) {
  std::mt19937 random(5);
  for (const double passes : {0.0, 0.001, 0.02, 0.5, 0.98, 1.0}) {
    std::vector<uint64_t> bitmap(kRows / 64 + 1);
    std::bernoulli_distribution coin(passes);
    for (LocalId id = 0; id < kRows; ++id) {
      bitmap[id / 64] |= static_cast<uint64_t>(coin(random)) << (id % 64);
    }
    SCOPED_TRACE(testing::Message() << "passes " << passes);
    ExpectExact({.k = 10, .filter = {.begin = 0, .end = kRows, .passing = bitmap.data()}});
    ExpectExact({.k = 500, .filter = {.begin = 130, .end = 2900, .passing = bitmap.data()}});
  }
}

TEST_P(FlatSearchTest, DeletesAreSeenByLaterVersionsOnly) {
  std::vector<std::atomic<uint64_t>> deleted_at(kRows);
  for (LocalId id = 0; id < kRows; id += 3) {
    deleted_at[id] = 1 + id % 10;
  }
  for (const uint64_t version : {0, 4, 10, 100}) {
    SCOPED_TRACE(testing::Message() << "version " << version);
    ExpectExact({.k = 20, .filter = {.begin = 0, .end = kRows, .deleted_at = deleted_at.data(), .version = version}});
  }
}

TEST_P(FlatSearchTest, KOfNothingAndRangeBehindTheCapacity) {
  const FlatIndex index(rows_);
  EXPECT_TRUE(SearchOrFail(index, *rows_, queries_[0], {.k = 0, .filter = {.begin = 0, .end = kRows}}).empty());
  auto beyond = FlatSearch(*rows_, queries_[0].data(), {.k = kRows + 9, .filter = {.begin = 0, .end = kRows + 500}});
  ASSERT_TRUE(beyond.ok());
  EXPECT_EQ(beyond->size(), kRows);
}

TEST_P(FlatSearchTest, StopsWhenCancelledOrTooLate) {
  Cancellation cancelled;
  cancelled.Cancel();
  const SearchOptions options = {.k = 5, .filter = {.begin = 0, .end = kRows}, .cancellation = &cancelled};
  EXPECT_EQ(FlatSearch(*rows_, queries_[0].data(), options).status().code(), StatusCode::kCancelled);
  const Cancellation late(Cancellation::Clock::now() - std::chrono::seconds(1));
  const SearchOptions late_options = {.k = 5, .filter = {.begin = 0, .end = kRows}, .cancellation = &late};
  EXPECT_EQ(FlatSearch(*rows_, queries_[0].data(), late_options).status().code(), StatusCode::kDeadlineExceeded);
}

INSTANTIATE_TEST_SUITE_P(Metrics, FlatSearchTest, testing::Values(Metric::kL2, Metric::kCosine, Metric::kInnerProduct),
                         [](const auto& info) { return std::string(MetricName(info.param)); });

}  // namespace
}  // namespace longbow::index
