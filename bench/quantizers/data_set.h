// What the quantizers are measured on: rows, queries, exact answers.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/npy_file.h"
#include "kernels/kernels.h"
#include "model/metric.h"

namespace longbow::bench {

inline constexpr size_t kNeighbors = 10;

struct DataSet {
  std::string name;
  Metric metric = Metric::kL2;
  cli::Matrix<float> base;
  cli::Matrix<float> queries;
  cli::Matrix<int64_t> answers;  // at least kNeighbors columns
};

struct DataPaths {
  std::string base;
  std::string queries;
  std::string answers;  // "": they are computed
};

Result<DataSet> ReadDataSet(const DataPaths& paths, Metric metric, const kernels::Kernels& kernels);

// 100,000 rows and 1,000 queries of 96 dimensions: normal clusters of intrinsic dimension 24 around 100 centres, a
// little noise in all dimensions; squared L2. Always the same.
DataSet MakeClusteredSet(const kernels::Kernels& kernels);

}  // namespace longbow::bench
