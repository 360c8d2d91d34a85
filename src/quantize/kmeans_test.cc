#include "quantize/kmeans.h"

#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "quantize/product_quantizer.h"
#include "quantize/residual_quantizer.h"
#include "quantize/test_rows.h"

namespace longbow::quantize {
namespace {

double MeanError(const TestRows& rows, const Codebook& codebook, const std::vector<uint8_t>& nearest) {
  double sum = 0;
  for (size_t i = 0; i < rows.n; ++i) {
    for (size_t d = 0; d < rows.dimension; ++d) {
      const double difference = rows.row(i)[d] - codebook.at(d, nearest[i]);
      sum += difference * difference;
    }
  }
  return sum / static_cast<double>(rows.n);
}

TEST(KMeans, EveryRowGetsItsNearestPointAndIterationsHelp) {
  const TestRows rows = ClusteredRows(1000, 7, 1);
  double last = INFINITY;
  for (const size_t iterations : {0, 1, 3, 10}) {
    const Codebook codebook =
        KMeans(rows.values.data(), 7, rows.n, 7, {.k = 16, .iterations = iterations}, FastestKernels());
    std::vector<uint8_t> nearest(rows.n);
    NearestPoints(codebook, rows.values.data(), 7, rows.n, 1, FastestKernels(), nearest.data());
    for (size_t i = 0; i < rows.n; ++i) {
      double best = INFINITY;
      double chosen = INFINITY;
      for (size_t j = 0; j < codebook.k; ++j) {
        double distance = 0;
        for (size_t d = 0; d < 7; ++d) {
          distance += std::pow(rows.row(i)[d] - codebook.at(d, j), 2);
        }
        best = std::min(best, distance);
        chosen = j == nearest[i] ? distance : chosen;
      }
      ASSERT_NEAR(chosen, best, 1e-4);
    }
    const double error = MeanError(rows, codebook, nearest);
    EXPECT_LT(error, last) << iterations;
    last = error;
  }
}

TEST(KMeans, EmptyClustersAreFilledAndEqualRowsAreFine) {
  // Three different rows for 16 points.
  TestRows rows = {90, 2, std::vector<float>(180)};
  for (size_t i = 0; i < rows.n; ++i) {
    rows.values[2 * i] = static_cast<float>(i % 3);
    rows.values[2 * i + 1] = static_cast<float>(i % 3) * 5;
  }
  const Codebook codebook = KMeans(rows.values.data(), 2, rows.n, 2, {.k = 16, .iterations = 8}, FastestKernels());
  std::vector<uint8_t> nearest(rows.n);
  NearestPoints(codebook, rows.values.data(), 2, rows.n, 1, FastestKernels(), nearest.data());
  EXPECT_LT(MeanError(rows, codebook, nearest), 1e-3);
  for (const float value : codebook.columns) {
    ASSERT_TRUE(std::isfinite(value));
  }
}

TEST(KMeans, DrawsEachRowAtMostOnce) {
  const std::vector<size_t> drawn = DrawRows(100, 30, 5);
  EXPECT_EQ(drawn.size(), 30u);
  EXPECT_EQ(std::set<size_t>(drawn.begin(), drawn.end()).size(), 30u);
  EXPECT_LT(drawn.back(), 100u);
  EXPECT_EQ(drawn, DrawRows(100, 30, 5));
  EXPECT_NE(drawn, DrawRows(100, 30, 6));
  EXPECT_EQ(DrawRows(4, 9, 5), (std::vector<size_t>{0, 1, 2, 3}));
}

TEST(KMeans, ThreadsChangeTimeOnly) {
  const TestRows rows = ClusteredRows(1500, 20, 2);
  const ResidualQuantizerOptions residual = {.codebooks = 3};
  ResidualQuantizerOptions residual_threads = residual;
  residual_threads.threads = 3;
  EXPECT_EQ((*ResidualQuantizer::Train(rows.sample(), residual, FastestKernels()))->Serialize(),
            (*ResidualQuantizer::Train(rows.sample(), residual_threads, FastestKernels()))->Serialize());
  const ProductQuantizerOptions product = {.subspaces = 6, .bits = 4};
  ProductQuantizerOptions product_threads = product;
  product_threads.threads = 3;
  EXPECT_EQ((*ProductQuantizer::Train(rows.sample(), product, FastestKernels()))->Serialize(),
            (*ProductQuantizer::Train(rows.sample(), product_threads, FastestKernels()))->Serialize());
}

TEST(Training, OptionsThatCannotBeAreNamed) {
  const TestRows rows = ClusteredRows(300, 8, 1);
  const auto product = [&](ProductQuantizerOptions options) {
    return std::string(ProductQuantizer::Train(rows.sample(), options, FastestKernels()).status().message());
  };
  EXPECT_NE(product({.subspaces = 9}).find("got 9"), std::string::npos);
  EXPECT_NE(product({.subspaces = 0}).find("got 0"), std::string::npos);
  EXPECT_NE(product({.subspaces = 2, .bits = 5}).find("got 5"), std::string::npos);
  EXPECT_NE(product({.subspaces = 2, .train_rows_max = 100}).find("got 100"), std::string::npos);
  const auto residual = [&](ResidualQuantizerOptions options) {
    return std::string(ResidualQuantizer::Train(rows.sample(), options, FastestKernels()).status().message());
  };
  EXPECT_NE(residual({.codebooks = 33}).find("got 33"), std::string::npos);
  EXPECT_NE(residual({.codebooks = 1, .beam = 0}).find("got 0"), std::string::npos);
  EXPECT_NE(residual({.codebooks = 1, .train_rows_max = 255}).find("got 255"), std::string::npos);
}

TEST(Residual, AWiderBeamIsNearer) {
  const TestRows rows = ClusteredRows(4000, 32, 3);
  const TestRows others = ClusteredRows(500, 32, 4);  // what the training has not seen
  double last = INFINITY;
  for (const size_t beam : {1, 4, 16}) {
    auto quantizer = ResidualQuantizer::Train(rows.sample(), {.codebooks = 4, .beam = beam}, FastestKernels());
    ASSERT_TRUE(quantizer.ok());
    const std::vector<uint8_t> codes = Encoded(**quantizer, others);
    double sum = 0;
    for (size_t i = 0; i < others.n; ++i) {
      // The distance of a row to its own code is the encoding's error.
      float error = 0;
      auto estimator = (*quantizer)->Prepare(others.row(i), Metric::kL2);
      (*estimator)->Estimate(codes.data() + i * (*quantizer)->code_bytes(), 1, &error);
      sum += error;
    }
    EXPECT_LT(sum, 0.97 * last) << beam;
    last = sum;
  }
}

}  // namespace
}  // namespace longbow::quantize
