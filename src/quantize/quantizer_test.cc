// What every quantizer must do, whatever its kind.
#include "quantize/quantizer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <set>

#include "quantize/quantizer_file.h"
#include "quantize/test_quantizers.h"
#include "quantize/test_rows.h"

namespace longbow::quantize {
namespace {

constexpr size_t kRows = 3000;
constexpr size_t kQueries = 30;
constexpr size_t kDimension = 64;
constexpr size_t kNeighbors = 10;

std::set<size_t> Nearest(const std::vector<double>& distances) {
  std::vector<size_t> order(distances.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::partial_sort(order.begin(), order.begin() + kNeighbors, order.end(),
                    [&](size_t a, size_t b) { return distances[a] < distances[b]; });
  return {order.begin(), order.begin() + kNeighbors};
}

class QuantizerTest : public testing::TestWithParam<QuantizerCase> {
 protected:
  std::unique_ptr<Quantizer> Train(const TestRows& rows, const kernels::CodeKernels& kernels = FastestKernels()) {
    auto trained = GetParam().train(rows.sample(), kernels);
    EXPECT_TRUE(trained.ok()) << trained.status().ToString();
    return trained.ok() ? std::move(*trained) : nullptr;
  }
};

TEST_P(QuantizerTest, EstimatesAreNearAndFindTheNearest) {
  const TestRows rows = ClusteredRows(kRows, kDimension, 1);
  const TestRows queries = ClusteredRows(kQueries, kDimension, 2);
  const auto quantizer = Train(rows);
  ASSERT_NE(quantizer, nullptr);
  const std::vector<uint8_t> codes = Encoded(*quantizer, rows);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    double squared_error = 0;
    double bias = 0;
    double mean_l2 = 0;
    size_t found = 0;
    for (size_t q = 0; q < kQueries; ++q) {
      auto estimator = quantizer->Prepare(queries.row(q), metric);
      ASSERT_TRUE(estimator.ok());
      std::vector<float> estimates(kRows);
      (*estimator)->Estimate(codes.data(), kRows, estimates.data());
      std::vector<double> exact(kRows);
      for (size_t i = 0; i < kRows; ++i) {
        exact[i] = ExactDistance(queries.row(q), rows.row(i), kDimension, metric);
        // An error of the inner product counts twice in squared L2.
        const double error = (estimates[i] - exact[i]) * (metric == Metric::kL2 ? 1 : 2);
        squared_error += error * error;
        bias += error;
        mean_l2 += ExactDistance(queries.row(q), rows.row(i), kDimension, Metric::kL2);
      }
      const std::set<size_t> truth = Nearest(exact);
      for (const size_t id : Nearest({estimates.begin(), estimates.end()})) {
        found += truth.count(id);
      }
    }
    mean_l2 /= kRows * kQueries;
    const double error = std::sqrt(squared_error / (kRows * kQueries)) / mean_l2;
    const double recall = static_cast<double>(found) / (kNeighbors * kQueries);
    RecordProperty(metric == Metric::kL2 ? "error_l2" : "error_ip", std::to_string(error));
    RecordProperty(metric == Metric::kL2 ? "recall_l2" : "recall_ip", std::to_string(recall));
    EXPECT_LE(error, GetParam().error_max);
    EXPECT_GE(recall, GetParam().recall_min);
    // What a decoded row lacks shows as a bias of L2 only, never larger than the error itself.
    EXPECT_LE(std::abs(bias) / (kRows * kQueries) / mean_l2, GetParam().error_max);
  }
}

TEST_P(QuantizerTest, ManyOneByIdAndPackedAreTheSame) {
  const TestRows rows = ClusteredRows(600, kDimension, 3);
  const auto quantizer = Train(rows);
  ASSERT_NE(quantizer, nullptr);
  const std::vector<uint8_t> codes = Encoded(*quantizer, rows);
  const TestRows queries = ClusteredRows(3, kDimension, 4);
  for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
    auto estimator = quantizer->Prepare(queries.row(1), metric);
    ASSERT_TRUE(estimator.ok());
    std::vector<float> all(rows.n);
    (*estimator)->Estimate(codes.data(), rows.n, all.data());
    std::vector<uint32_t> ids;
    Random random(5);
    for (size_t i = 0; i < 333; ++i) {
      ids.push_back(static_cast<uint32_t>(random.Below(rows.n)));
    }
    std::vector<float> picked(ids.size());
    (*estimator)->EstimateIds(codes.data(), ids.data(), ids.size(), picked.data());
    for (size_t i = 0; i < ids.size(); ++i) {
      ASSERT_EQ(picked[i], all[ids[i]]);
    }
    float one = 0;
    (*estimator)->Estimate(codes.data() + 17 * quantizer->code_bytes(), 1, &one);
    EXPECT_EQ(one, all[17]);
    (*estimator)->Estimate(codes.data(), 0, &one);
    if (quantizer->block_bytes() == 0) {
      continue;
    }
    for (const size_t n : {1, 31, 32, 33, 600}) {
      std::vector<uint8_t> blocks((n + 31) / 32 * quantizer->block_bytes());
      quantizer->PackBlocks(codes.data(), n, blocks.data());
      std::vector<float> packed(n + 1, -1);
      (*estimator)->EstimateBlocks(blocks.data(), n, packed.data());
      EXPECT_EQ(packed[n], -1);
      for (size_t i = 0; i < n; ++i) {
        ASSERT_NEAR(packed[i], all[i], 0.03 * 64) << n;  // tables of 8 bits
      }
    }
  }
}

TEST_P(QuantizerTest, AllInstructionSetsEstimateTheSame) {
  for (const size_t dimension : {13, 64, 200}) {
    const TestRows rows = ClusteredRows(400, dimension, 6);
    const auto trained = Train(rows, kernels::kScalarCodeKernels);
    ASSERT_NE(trained, nullptr);
    const std::string bytes = trained->Serialize();
    const std::vector<uint8_t> codes = Encoded(*trained, rows);
    std::vector<float> expected(rows.n);
    (*trained->Prepare(rows.row(5), Metric::kL2))->Estimate(codes.data(), rows.n, expected.data());
    for (const kernels::Isa isa : kernels::SupportedIsas()) {
      auto same = OpenQuantizer(bytes, **kernels::CodeKernelsOf(isa));
      ASSERT_TRUE(same.ok());
      std::vector<float> got(rows.n);
      auto estimator = (*same)->Prepare(rows.row(5), Metric::kL2);
      (*estimator)->Estimate(codes.data(), rows.n, got.data());
      for (size_t i = 0; i < rows.n; ++i) {
        ASSERT_NEAR(got[i], expected[i], 1e-3 * (1 + std::abs(expected[i]))) << kernels::IsaName(isa);
      }
    }
  }
}

TEST_P(QuantizerTest, TrainingAgainGivesTheSameBytes) {
  const TestRows rows = ClusteredRows(500, 24, 8);
  const auto first = Train(rows);
  const auto second = Train(rows);
  ASSERT_NE(first, nullptr);
  EXPECT_EQ(first->Serialize(), second->Serialize());
  EXPECT_EQ(Encoded(*first, rows), Encoded(*second, rows));
}

TEST_P(QuantizerTest, SurvivesSerialization) {
  for (const size_t dimension : {1, 3, 24}) {
    const TestRows rows = ClusteredRows(300, dimension, 9);
    const auto written = Train(rows);
    ASSERT_NE(written, nullptr);
    auto read = OpenQuantizer(written->Serialize(), FastestKernels());
    ASSERT_TRUE(read.ok()) << read.status().ToString();
    EXPECT_EQ((*read)->name(), written->name());
    EXPECT_EQ((*read)->kind(), written->kind());
    EXPECT_EQ((*read)->dimension(), dimension);
    EXPECT_EQ((*read)->code_bytes(), written->code_bytes());
    EXPECT_EQ((*read)->block_bytes(), written->block_bytes());
    EXPECT_EQ((*read)->Serialize(), written->Serialize());
    EXPECT_EQ(Encoded(**read, rows), Encoded(*written, rows));
  }
}

TEST_P(QuantizerTest, OddRowsGiveFiniteEstimates) {
  struct Odd {
    const char* what;
    TestRows rows;
  };
  const size_t n = 300;
  std::vector<Odd> odd;
  for (const size_t dimension : {1, 3, 17, 64}) {
    odd.push_back({"zero rows", {n, dimension, std::vector<float>(n * dimension, 0)}});
    odd.push_back({"equal rows", {n, dimension, std::vector<float>(n * dimension, 0.3f)}});
    odd.push_back({"tiny rows", {n, dimension, std::vector<float>(n * dimension, 1e-42f)}});
    odd.push_back({"far away", ClusteredRows(n, dimension, 10, 5, 1000)});
    odd.push_back({"ordinary", ClusteredRows(n, dimension, 11)});
    TestRows large = ClusteredRows(n, dimension, 12);
    for (float& value : large.values) {
      value = std::clamp(value * 3e14f, -kMagnitudeMax, kMagnitudeMax);
    }
    odd.push_back({"large rows", std::move(large)});
    TestRows some = ClusteredRows(n, dimension, 13);
    std::fill(some.values.begin(), some.values.begin() + static_cast<ptrdiff_t>(100 * dimension), 0.0f);
    odd.push_back({"some zeros", std::move(some)});
  }
  for (const Odd& each : odd) {
    SCOPED_TRACE(std::string(each.what) + ", dimension " + std::to_string(each.rows.dimension));
    const auto quantizer = Train(each.rows);
    ASSERT_NE(quantizer, nullptr);
    const std::vector<uint8_t> codes = Encoded(*quantizer, each.rows);
    ASSERT_FALSE(codes.empty());
    const std::vector<float> zero(each.rows.dimension, 0);
    for (const Metric metric : {Metric::kL2, Metric::kInnerProduct}) {
      for (const float* query : {each.rows.row(0), each.rows.row(200), zero.data()}) {
        auto estimator = quantizer->Prepare(query, metric);
        ASSERT_TRUE(estimator.ok());
        std::vector<float> estimates(n);
        (*estimator)->Estimate(codes.data(), n, estimates.data());
        double scale = 0;
        for (size_t i = 0; i < n; ++i) {
          scale = std::max(scale, ExactDistance(zero.data(), each.rows.row(i), each.rows.dimension, Metric::kL2));
        }
        for (size_t i = 0; i < n; ++i) {
          ASSERT_TRUE(std::isfinite(estimates[i]));
          // One subspace of 16 points for a whole row, or one bit a dimension, cannot be near.
          const double exact = ExactDistance(query, each.rows.row(i), each.rows.dimension, metric);
          ASSERT_NEAR(estimates[i], exact, 1e-6 + 4 * scale);
        }
      }
    }
  }
}

TEST_P(QuantizerTest, TheLargestOrdinaryDimensionWorks) {
  const TestRows rows = ClusteredRows(260, 4096, 14);
  const auto quantizer = Train(rows);
  ASSERT_NE(quantizer, nullptr);
  const std::vector<uint8_t> codes = Encoded(*quantizer, rows);
  auto estimator = quantizer->Prepare(rows.row(7), Metric::kL2);
  std::vector<float> estimates(rows.n);
  (*estimator)->Estimate(codes.data(), rows.n, estimates.data());
  // Few codes cannot tell rows of one cluster apart, but the other clusters must be farther away.
  const auto nearer = std::count_if(estimates.begin(), estimates.end(), [&](float e) { return e < estimates[7]; });
  EXPECT_LT(nearer, GetParam().recall_min > 0.7 ? 1 : 26);
}

TEST_P(QuantizerTest, BadRowsAndQueriesAreNamed) {
  TestRows rows = ClusteredRows(600, 8, 15);
  const auto quantizer = Train(rows);
  ASSERT_NE(quantizer, nullptr);
  for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity(), -2e15f}) {
    TestRows damaged = rows;
    damaged.values[300 * 8 + 5] = bad;
    std::vector<uint8_t> codes(rows.n * quantizer->code_bytes());
    const Status encoded = quantizer->Encode(damaged.values.data(), damaged.n, codes.data());
    EXPECT_EQ(encoded.code(), StatusCode::kInvalidArgument);
    EXPECT_NE(encoded.message().find("row 300, component 5"), std::string_view::npos) << encoded.message();
    const auto trained = GetParam().train(damaged.sample(), FastestKernels());
    ASSERT_FALSE(trained.ok());
    EXPECT_EQ(trained.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(trained.status().message().find("row 300"), std::string_view::npos) << trained.status().message();
    const auto prepared = quantizer->Prepare(damaged.row(300), Metric::kL2);
    ASSERT_FALSE(prepared.ok());
    EXPECT_EQ(prepared.status().code(), StatusCode::kInvalidArgument);
  }
  EXPECT_EQ(quantizer->Prepare(rows.row(0), Metric::kCosine).status().code(), StatusCode::kInvalidArgument);
}

TEST_P(QuantizerTest, TooFewRowsAreAnErrorOrEnough) {
  const TestRows one = ClusteredRows(1, 8, 16);
  const auto trained = GetParam().train(one.sample(), FastestKernels());
  if (!trained.ok()) {
    EXPECT_EQ(trained.status().code(), StatusCode::kInvalidArgument);
    EXPECT_NE(trained.status().message().find("got 1"), std::string_view::npos) << trained.status().message();
  } else {
    EXPECT_FALSE(Encoded(**trained, one).empty());
  }
  for (const TrainingRows& none : {TrainingRows{one.values.data(), 0, 8}, TrainingRows{one.values.data(), 1, 0},
                                   TrainingRows{one.values.data(), 1, 100'000}}) {
    const auto refused = GetParam().train(none, FastestKernels());
    ASSERT_FALSE(refused.ok());
    EXPECT_EQ(refused.status().code(), StatusCode::kInvalidArgument);
  }
}

INSTANTIATE_TEST_SUITE_P(All, QuantizerTest, testing::ValuesIn(AllQuantizers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longbow::quantize
