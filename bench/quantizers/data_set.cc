#include "data_set.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <numeric>

#include "base/random.h"

namespace longbow::bench {
namespace {

constexpr size_t kRows = 100'000;
constexpr size_t kQueries = 1'000;
constexpr size_t kDimension = 96;
constexpr size_t kClusters = 100;
constexpr size_t kIntrinsic = 24;
constexpr float kNoise = 0.05f;

float Normal(Random* random) {
  const double radius = std::sqrt(-2 * std::log(1 - random->Fraction()));
  return static_cast<float>(radius * std::cos(2 * std::numbers::pi * random->Fraction()));
}

std::vector<float> Normals(size_t n, Random* random) {
  std::vector<float> values(n);
  std::generate(values.begin(), values.end(), [random] { return Normal(random); });
  return values;
}

cli::Matrix<float> DrawRows(size_t n, const std::vector<float>& centres, const std::vector<float>& directions,
                            Random* random) {
  cli::Matrix<float> rows = {n, kDimension, Normals(n * kDimension, random)};
  for (size_t i = 0; i < n; ++i) {
    float* row = rows.values.data() + i * kDimension;
    const size_t cluster = random->Below(kClusters);
    const std::vector<float> place = Normals(kIntrinsic, random);
    for (size_t d = 0; d < kDimension; ++d) {
      row[d] = kNoise * row[d] + centres[cluster * kDimension + d];
      for (size_t j = 0; j < kIntrinsic; ++j) {
        row[d] += place[j] * directions[(cluster * kIntrinsic + j) * kDimension + d];
      }
    }
  }
  return rows;
}

cli::Matrix<int64_t> ExactAnswers(const DataSet& data, const kernels::Kernels& kernels) {
  const size_t dim = data.base.columns;
  cli::Matrix<int64_t> answers = {data.queries.rows, kNeighbors, {}};
  std::vector<float> distances(data.base.rows);
  std::vector<int64_t> order(data.base.rows);
  for (size_t q = 0; q < data.queries.rows; ++q) {
    const bool l2 = data.metric == Metric::kL2;
    (l2 ? kernels.squared_l2_rows : kernels.inner_product_rows)(data.queries.row(q), data.base.values.data(), dim,
                                                                data.base.rows, distances.data());
    std::iota(order.begin(), order.end(), int64_t{0});
    std::partial_sort(order.begin(), order.begin() + kNeighbors, order.end(), [&](int64_t a, int64_t b) {
      const float left = distances[static_cast<size_t>(a)];
      const float right = distances[static_cast<size_t>(b)];
      return l2 ? left < right : left > right;
    });
    answers.values.insert(answers.values.end(), order.begin(), order.begin() + kNeighbors);
  }
  return answers;
}

}  // namespace

Result<DataSet> ReadDataSet(const DataPaths& paths, Metric metric, const kernels::Kernels& kernels) {
  DataSet data;
  data.metric = metric;
  LB_ASSIGN(data.base, cli::ReadNpyVectors(RealFileSystem(), paths.base));
  LB_ASSIGN(data.queries, cli::ReadNpyVectors(RealFileSystem(), paths.queries));
  if (data.base.columns != data.queries.columns) {
    return InvalidArgument("dimension mismatch: base has " + std::to_string(data.base.columns) + ", queries have " +
                           std::to_string(data.queries.columns));
  }
  if (data.base.rows < kNeighbors) {
    return InvalidArgument("base has " + std::to_string(data.base.rows) + " rows, at least " +
                           std::to_string(kNeighbors) + " are needed");
  }
  if (paths.answers.empty()) {
    data.answers = ExactAnswers(data, kernels);
    return data;
  }
  LB_ASSIGN(data.answers, cli::ReadNpyIds(RealFileSystem(), paths.answers));
  if (data.answers.rows != data.queries.rows || data.answers.columns < kNeighbors) {
    return InvalidArgument("answers have shape (" + std::to_string(data.answers.rows) + ", " +
                           std::to_string(data.answers.columns) + "), expected " + std::to_string(data.queries.rows) +
                           " rows of at least " + std::to_string(kNeighbors));
  }
  return data;
}

DataSet MakeClusteredSet(const kernels::Kernels& kernels) {
  Random random(20240607);
  std::vector<float> centres = Normals(kClusters * kDimension, &random);
  std::vector<float> directions = Normals(kClusters * kIntrinsic * kDimension, &random);
  for (float& value : directions) {
    value /= std::sqrt(static_cast<float>(kIntrinsic));
  }
  DataSet data;
  data.metric = Metric::kL2;
  data.base = DrawRows(kRows, centres, directions, &random);
  data.queries = DrawRows(kQueries, centres, directions, &random);
  data.answers = ExactAnswers(data, kernels);
  return data;
}

}  // namespace longbow::bench
