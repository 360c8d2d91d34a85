#include "index/vector_rows.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <vector>

#include "index/candidate.h"
#include "index/query_distance.h"
#include "index/test_rows.h"

namespace longbow::index {
namespace {

TEST(VectorRows, RefusesWhatCannotBe) {
  const auto& k = TestKernels();
  EXPECT_EQ(VectorRows::Create(0, 10, Metric::kL2, k).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VectorRows::Create(65'537, 10, Metric::kL2, k).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VectorRows::Create(8, 0, Metric::kL2, k).status().code(), StatusCode::kInvalidArgument);
  EXPECT_EQ(VectorRows::Create(8, 1u << 30, Metric::kL2, k).status().code(), StatusCode::kInvalidArgument);
  const auto huge = VectorRows::Create(65'536, VectorRows::kRowsMax, Metric::kL2, k);
  EXPECT_EQ(huge.status().code(), StatusCode::kResourceExhausted) << huge.status().ToString();
}

TEST(VectorRows, LieOneAfterAnotherAndStayWhereTheyAre) {
  auto rows = MakeRows(5, 1'000'000, Metric::kL2);
  const float* first = rows->row(0);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(first) % 64, 0u);
  SetRow(*rows, 999'999, {1, 2, 3, 4, 5});
  EXPECT_EQ(rows->row(0), first);
  EXPECT_EQ(rows->row(999'999) - first, 5 * 999'999);
  EXPECT_EQ(rows->row(999'999)[4], 5.0f);
  EXPECT_EQ(rows->row(500)[0], 0.0f);
}

TEST(QueryDistance, FollowsTheMetric) {
  const std::vector<float> query = {1, 2, -2};
  const std::vector<float> other = {0, 3, 4};
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct}) {
    auto rows = MakeRows(3, 4, metric);
    SetRow(*rows, 0, other);
    SetRow(*rows, 1, query);
    SetRow(*rows, 2, {0, 0, 0});
    const QueryDistance distance(*rows, query.data());
    const float to_other = metric == Metric::kL2 ? 38.0f : metric == Metric::kCosine ? 1 - -2.0f / 15 : 2.0f;
    EXPECT_FLOAT_EQ(distance.To(0), to_other);
    EXPECT_NEAR(distance.To(1), metric == Metric::kInnerProduct ? -9.0f : 0.0f, 1e-6);
    EXPECT_EQ(distance.To(2), metric == Metric::kL2 ? 9.0f : metric == Metric::kCosine ? 1.0f : 0.0f);
    EXPECT_EQ(QueryDistance(*rows, LocalId{1}).To(0), distance.To(0));
    EXPECT_EQ(QueryDistance(*rows, LocalId{0}).To(1), distance.To(0));
    double range[3];
    distance.ToRange(0, 3, range);
    for (LocalId id = 0; id < 3; ++id) {
      EXPECT_EQ(range[id], distance.To(id));
    }
  }
}

TEST(QueryDistance, IsNeverNan) {
  const float max = std::numeric_limits<float>::max();
  const std::vector<std::vector<float>> extremes = {{max, max},  {max, -max},       {-max, -max},    {0, 0},
                                                    {1e-45f, 0}, {1e-30f, -1e-30f}, {1e20f, 1e-20f}, {1, 1}};
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct}) {
    auto rows = MakeRows(2, 8, metric);
    for (LocalId id = 0; id < extremes.size(); ++id) {
      SetRow(*rows, id, extremes[id]);
    }
    for (const std::vector<float>& query : extremes) {
      const QueryDistance distance(*rows, query.data());
      for (LocalId id = 0; id < extremes.size(); ++id) {
        EXPECT_FALSE(std::isnan(distance.To(id)));
        if (metric == Metric::kCosine) {
          EXPECT_GE(distance.To(id), 0.0f);
          EXPECT_LE(distance.To(id), 2.0f);
        }
      }
    }
  }
}

TEST(Candidate, OrdersAsNeighborsDo) {
  const float inf = std::numeric_limits<float>::infinity();
  const std::vector<float> ascending = {-inf, -3e38f, -1.5f, -1e-40f, 0.0f, 1e-40f, 1e-3f, 1.5f, 3e38f, inf};
  for (size_t i = 0; i < ascending.size(); ++i) {
    const Candidate c = MakeCandidate(ascending[i], 7);
    EXPECT_EQ(DistanceOf(c), ascending[i]);
    EXPECT_EQ(IdOf(c), 7u);
    EXPECT_LT(c, MakeCandidate(ascending[i], 8));
    if (i > 0) {
      EXPECT_LT(MakeCandidate(ascending[i - 1], VectorRows::kRowsMax), c);
    }
  }
  EXPECT_EQ(MakeCandidate(-0.0f, 1), MakeCandidate(0.0f, 1));
}

TEST(VectorRows, ReadingAheadChangesNothing) {
  auto rows = VectorRows::Create(96, 1000, Metric::kL2, TestKernels()).value();
  for (uint32_t i = 0; i < 96 * 1000; ++i) {
    rows->MutableRow(0)[i] = static_cast<float>(i);
  }
  rows->FinishRows(0, 1000);
  rows->set_reads_ahead(true);
  const LocalId ids[] = {0, 1, 500, 999};
  rows->ReadAhead(ids, 4);
  EXPECT_EQ(rows->row(999)[95], 96 * 1000 - 1);
  EXPECT_EQ(rows->row(0)[0], 0);
}

}  // namespace
}  // namespace longbow::index
