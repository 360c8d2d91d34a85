#include "cli/recall_curve.h"

#include <gtest/gtest.h>

namespace longbow::cli {
namespace {

CurvePoint Point(double recall, double qps) { return {.recall = recall, .qps_wall = qps, .qps_cpu = 2 * qps}; }

TEST(RecallCurve, IsLogLinearInTheMissRate) {
  const std::vector<CurvePoint> curve = {Point(0.9, 10'000), Point(0.99, 1'000)};
  EXPECT_NEAR(*SpeedAtRecall(curve, 0.9, Speed::kWall), 10'000, 1e-6);
  EXPECT_NEAR(*SpeedAtRecall(curve, 0.99, Speed::kWall), 1'000, 1e-6);
  // Half way between misses of 0.1 and 0.01 on a log scale.
  EXPECT_NEAR(*SpeedAtRecall(curve, 1 - 0.0316227766, Speed::kWall), 3162.27766, 1e-3);
  EXPECT_NEAR(*SpeedAtRecall(curve, 1 - 0.0316227766, Speed::kCpu), 6324.55532, 1e-3);
}

TEST(RecallCurve, BeyondItsEnds) {
  const std::vector<CurvePoint> curve = {Point(0.95, 500), Point(0.98, 100)};
  EXPECT_EQ(SpeedAtRecall(curve, 0.90, Speed::kWall), 500);
  EXPECT_EQ(SpeedAtRecall(curve, 0.99, Speed::kWall), std::nullopt);
  EXPECT_EQ(SpeedAtRecall({}, 0.9, Speed::kWall), std::nullopt);
}

TEST(RecallCurve, PointsThatAreSlowerForLessAreIgnored) {
  const std::vector<CurvePoint> curve = {Point(0.90, 1'000), Point(0.93, 400), Point(0.95, 600), Point(0.95, 500)};
  const std::vector<CurvePoint> frontier = {Point(0.90, 1'000), Point(0.95, 600)};
  for (const double recall : {0.9, 0.93, 0.94, 0.95}) {
    EXPECT_EQ(SpeedAtRecall(curve, recall, Speed::kWall), SpeedAtRecall(frontier, recall, Speed::kWall));
  }
}

TEST(RecallCurve, PerfectRecallIsFinite) {
  const std::vector<CurvePoint> curve = {Point(0.99, 1'000), Point(1.0, 100)};
  const double qps = *SpeedAtRecall(curve, 0.999, Speed::kWall);
  EXPECT_GT(qps, 100);
  EXPECT_LT(qps, 1'000);
}

TEST(RecallCurve, SpreadIsMedianAndEnds) {
  const Spread odd = SpreadOf({5, 1, 3});
  EXPECT_EQ(odd.median, 3);
  EXPECT_EQ(odd.min, 1);
  EXPECT_EQ(odd.max, 5);
  EXPECT_EQ(SpreadOf({4, 1, 2, 8}).median, 3);
}

}  // namespace
}  // namespace longbow::cli
