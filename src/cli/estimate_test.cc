#include "cli/estimate.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"
#include "cli/build_subject.h"
#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

constexpr uint32_t kDimension = 64;

const kernels::Kernels& TestKernels() { return **kernels::KernelsFromEnvironment(); }

Matrix<float> RandomRows(uint32_t rows) {
  Random random(5);
  Matrix<float> matrix{rows, kDimension, std::vector<float>(static_cast<size_t>(rows) * kDimension)};
  std::generate(matrix.values.begin(), matrix.values.end(),
                [&] { return static_cast<float>(random.Fraction() - 0.5); });
  return matrix;
}

const Estimate& Of(const EstimateReport& report, std::string_view state) {
  const auto found = std::ranges::find(report.states, state, &Estimate::state);
  EXPECT_NE(found, report.states.end());
  return *found;
}

TEST(EstimateIndex, ComesNearToARealBuild) {
  constexpr uint32_t kRows = 16'000;
  const Matrix<float> rows = RandomRows(kRows);
  const Matrix<float> sample{
      4096, kDimension, {rows.values.begin(), rows.values.begin() + static_cast<std::ptrdiff_t>(4096) * kDimension}};
  EstimateOptions options{.rows = kRows, .dimension = kDimension, .metric = Metric::kL2};
  options.calibration_seconds = 1000;  // so that all of the sample is built upon, however slow the machine
  const auto report = EstimateIndex(options, &sample, TestKernels());
  ASSERT_TRUE(report.ok()) << report.status().ToString();
  for (const Estimate& estimate : report->states) {
    auto subject = MakeSubject(
        {.state = estimate.state, .dimension = kDimension, .capacity = kRows, .metric = Metric::kL2}, TestKernels());
    ASSERT_TRUE(subject.ok()) << subject.status().ToString();
    const auto figures = BuildMeasured(**subject, rows.values.data(), kRows);
    ASSERT_TRUE(figures.ok()) << figures.status().ToString();
    EXPECT_EQ(estimate.calibrated_rows, 4096u);
    const double bytes = static_cast<double>(figures->bytes);
    EXPECT_NEAR(static_cast<double>(estimate.bytes), bytes, 0.2 * bytes) << estimate.state;
    if (estimate.state != "flat") {  // whose microseconds are the clock's noise
      // 20 % on a machine of its own; tests share theirs with others.
      EXPECT_GT(estimate.cpu_s, 0.5 * figures->cpu_s) << estimate.state;
      EXPECT_LT(estimate.cpu_s, 2.0 * figures->cpu_s) << estimate.state;
    }
  }
}

TEST(EstimateIndex, ChoosesTheBestThatFits) {
  EstimateOptions options{
      .rows = 50'000, .dimension = kDimension, .metric = Metric::kInnerProduct, .calibration_seconds = 0};
  const auto any = EstimateIndex(options, nullptr, TestKernels());
  ASSERT_TRUE(any.ok()) << any.status().ToString();
  EXPECT_EQ(any->chosen, any->states.front().state);
  options.memory_bytes = Of(*any, "flat").bytes + 1;
  const auto small = EstimateIndex(options, nullptr, TestKernels());
  EXPECT_TRUE(Of(*small, "flat").fits);
  options.memory_bytes = 1000;
  const auto none = EstimateIndex(options, nullptr, TestKernels());
  EXPECT_EQ(none->chosen, std::nullopt);
}

TEST(EstimateIndex, SmallAndOddSizes) {
  for (const auto& [rows, dimension] : {std::pair<uint64_t, uint32_t>{1, 1}, {1, 5000}, {999, 3}, {1001, 7}}) {
    const EstimateOptions options{.rows = rows, .dimension = dimension, .metric = Metric::kCosine};
    const auto report = EstimateIndex(options, nullptr, TestKernels());
    ASSERT_TRUE(report.ok()) << report.status().ToString();
    EXPECT_GE(Of(*report, "flat").bytes, rows * dimension * sizeof(float));
  }
}

TEST(EstimateIndex, ASampleMustFit) {
  const Matrix<float> sample = RandomRows(3000);
  const auto wrong = EstimateIndex({.rows = 10'000, .dimension = 8}, &sample, TestKernels());
  EXPECT_EQ(wrong.status().code(), StatusCode::kInvalidArgument);
  const Matrix<float> few = RandomRows(2000);
  EXPECT_EQ(EstimateIndex({.rows = 10'000, .dimension = kDimension}, &few, TestKernels()).status().code(),
            StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow::cli
