// What RaBitQ promises: unbiased estimates, a bound that holds and means something, and the best grid point nearly.
#include "quantize/rabitq_quantizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "quantize/rabitq_grid.h"
#include "quantize/rotation.h"
#include "quantize/sums.h"
#include "quantize/test_rows.h"

namespace longbow::quantize {
namespace {

std::unique_ptr<RabitqQuantizer> Train(const TestRows& rows, uint32_t bits, uint64_t seed) {
  auto trained = RabitqQuantizer::Train(rows.sample(), {.bits = bits, .seed = seed}, FastestKernels());
  EXPECT_TRUE(trained.ok()) << trained.status().ToString();
  return std::move(*trained);
}

class RabitqTest : public testing::TestWithParam<uint32_t> {};

TEST_P(RabitqTest, EstimatesAreUnbiasedOverRotations) {
  const size_t dimension = 40;
  const TestRows rows = ClusteredRows(50, dimension, 1);
  const TestRows queries = ClusteredRows(2, dimension, 2);
  constexpr size_t kSeeds = 400;
  std::vector<double> sum(rows.n, 0);
  std::vector<double> squares(rows.n, 0);
  for (size_t seed = 0; seed < kSeeds; ++seed) {
    const auto quantizer = Train(rows, GetParam(), seed);
    const std::vector<uint8_t> codes = Encoded(*quantizer, rows);
    std::vector<float> estimates(rows.n);
    (*quantizer->Prepare(queries.row(0), Metric::kL2))->Estimate(codes.data(), rows.n, estimates.data());
    for (size_t i = 0; i < rows.n; ++i) {
      const double error = estimates[i] - ExactDistance(queries.row(0), rows.row(i), dimension, Metric::kL2);
      sum[i] += error;
      squares[i] += error * error;
    }
  }
  for (size_t i = 0; i < rows.n; ++i) {
    const double mean = sum[i] / kSeeds;
    const double deviation_of_mean = std::sqrt(squares[i] / kSeeds / kSeeds);
    EXPECT_LE(std::abs(mean), 4.5 * deviation_of_mean) << "row " << i;
  }
}

TEST_P(RabitqTest, TheBoundHoldsAndIsNotIdle) {
  for (const size_t dimension : {24, 100, 384}) {
    const TestRows rows = ClusteredRows(500, dimension, 3);
    const TestRows queries = ClusteredRows(20, dimension, 4);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      size_t outside = 0;
      double squared_ratio = 0;
      const size_t pairs = rows.n * queries.n;
      for (size_t q = 0; q < queries.n; ++q) {
        const auto quantizer = Train(rows, GetParam(), 100 + q);
        const std::vector<uint8_t> codes = Encoded(*quantizer, rows);
        const auto estimator = quantizer->Prepare(queries.row(q), metric);
        std::vector<float> estimates(rows.n);
        std::vector<float> bounds(rows.n);
        (*estimator)
            ->EstimateBounded({codes.data(), quantizer->code_bytes(), nullptr, rows.n}, estimates.data(),
                              bounds.data());
        for (size_t i = 0; i < rows.n; ++i) {
          const double error = std::abs(estimates[i] - ExactDistance(queries.row(q), rows.row(i), dimension, metric));
          outside += error > bounds[i] ? 1 : 0;
          squared_ratio += error / bounds[i] * (error / bounds[i]);
        }
      }
      EXPECT_LE(static_cast<double>(outside), 0.01 * static_cast<double>(pairs)) << dimension;
      // The error's deviation is a third of the bound; much less would be a bound that says nothing.
      EXPECT_GE(std::sqrt(squared_ratio / static_cast<double>(pairs)), 0.15) << dimension;
    }
  }
}

TEST_P(RabitqTest, TheGridPointIsNearlyTheBest) {
  const size_t size = 32;
  const uint32_t bits = GetParam();
  const double top = std::exp2(bits - 1) - 1;
  Random random(5);
  for (size_t trial = 0; trial < 20; ++trial) {
    std::vector<float> direction(size);
    for (float& value : direction) {
      value = Normal(&random) * (trial % 3 == 0 ? Normal(&random) : 1.0f);  // heavy tails too
    }
    // Every scale at which one component takes its next step, as the paper's enumeration has them.
    double best = 0;
    for (size_t i = 0; i < size; ++i) {
      for (int step = 0; step <= static_cast<int>(top); ++step) {
        const double scale = (step + 1e-6) / std::abs(direction[i]);
        double inner = 0;
        double norm = 0;
        for (const float value : direction) {
          const double component = std::min(std::floor(std::abs(value) * scale), top) + 0.5;
          inner += component * std::abs(value);
          norm += component * component;
        }
        best = std::max(best, inner / std::sqrt(norm));
      }
    }
    std::vector<uint8_t> numbers(size);
    const GridPoint point = NearestGridPoint(direction.data(), size, bits, numbers.data());
    double inner = 0;
    for (size_t i = 0; i < size; ++i) {
      inner += direction[i] * (numbers[i] - (std::exp2(bits) - 1) / 2);
    }
    EXPECT_NEAR(point.inner_product, inner, 1e-4 * std::abs(inner));
    const double length = std::sqrt(SquaredNorm(direction.data(), size));
    const double cosine = point.inner_product / std::sqrt(point.squared_norm) / length;
    // At most twice the best point's error, which is tiny where many bits make this hard.
    EXPECT_LE(1 - cosine, 2 * (1 - best / length) + 1e-6);
  }
}

INSTANTIATE_TEST_SUITE_P(Bits, RabitqTest, testing::Range(1u, 9u),
                         [](const auto& info) { return std::to_string(info.param); });

TEST(Rotation, KeepsLengthsAndProducts) {
  for (const size_t dimension : {1, 2, 15, 16, 17, 48, 96, 100, 384, 1000, 4096}) {
    const Rotation rotation(dimension, 9, kernels::kScalarGraphKernels);
    ASSERT_EQ(rotation.rotated_size(), (dimension + 15) / 16 * 16);
    const TestRows rows = ClusteredRows(2, dimension, 6);
    std::vector<float> a(rotation.rotated_size());
    std::vector<float> b(rotation.rotated_size());
    rotation.Apply(rows.row(0), a.data());
    rotation.Apply(rows.row(1), b.data());
    const double scale = SquaredNorm(rows.row(0), dimension) + SquaredNorm(rows.row(1), dimension);
    EXPECT_NEAR(InnerProduct(a.data(), b.data(), a.size()), InnerProduct(rows.row(0), rows.row(1), dimension),
                1e-5 * scale);
    EXPECT_NEAR(SquaredNorm(a.data(), a.size()), SquaredNorm(rows.row(0), dimension), 1e-5 * scale);
  }
}

TEST(Rotation, SpreadsASingleComponent) {
  for (const size_t dimension : {48, 100, 384, 1000}) {
    const Rotation rotation(dimension, 9, kernels::kScalarGraphKernels);
    for (const size_t at : {size_t{0}, dimension / 2, dimension - 1}) {
      std::vector<float> unit(dimension, 0);
      unit[at] = 1;
      std::vector<float> rotated(rotation.rotated_size());
      rotation.Apply(unit.data(), rotated.data());
      float largest = 0;
      for (const float value : rotated) {
        largest = std::max(largest, std::abs(value));
      }
      EXPECT_LE(largest, 5 / std::sqrt(static_cast<float>(rotated.size())));
    }
  }
}

TEST(Rabitq, OptionsThatCannotBeAreNamed) {
  const TestRows rows = ClusteredRows(10, 8, 1);
  for (const uint32_t bits : {0u, 9u}) {
    const auto trained = RabitqQuantizer::Train(rows.sample(), {.bits = bits}, FastestKernels());
    ASSERT_FALSE(trained.ok());
    EXPECT_NE(trained.status().message().find("got " + std::to_string(bits)), std::string_view::npos);
  }
}

}  // namespace
}  // namespace longbow::quantize
