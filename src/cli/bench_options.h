// The command line of `longbow bench index`.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/config.h"
#include "base/status.h"
#include "cli/row_mask.h"
#include "model/element_type.h"
#include "model/metric.h"

namespace longbow::cli {

// R rounds in each of which `percent` of the living rows are deleted and as many new ones inserted.
struct ChurnPlan {
  uint32_t rounds = 0;
  uint32_t percent = 0;
};

struct BenchOptions {
  std::string base_path;
  std::string query_path;
  std::string truth_path;  // empty: computed
  std::string dataset;     // its name in the report
  Metric metric = Metric::kL2;
  ElementType type = ElementType::kFloat32;
  std::string metric_word;  // as it was given: ip, l2 or cosine
  uint32_t k = 10;
  uint32_t threads = 1;
  std::string state;
  bool exact_distances = true;
  std::vector<FilterSpec> filters;  // empty: none; several: measured in turns on one index
  std::optional<ChurnPlan> churn;
  std::vector<uint32_t> efs;           // ascending, each at least k
  std::vector<double> recall_targets;  // asked for in the place of efs, unless empty
  bool efs_given = false;              // else the sweep ends where recall does
  uint32_t runs = 5;
  double seconds_min = 0.2;
  bool step = false;
  std::string json_path;  // empty: none
};

// The options' table, for help.
std::span<const Option> BenchIndexTable();

// From the arguments behind `bench index`. INVALID_ARGUMENT names the flag at fault; UNIMPLEMENTED for what this
// version's indexes cannot do.
Result<BenchOptions> ParseBenchOptions(std::span<const std::string> arguments);

}  // namespace longbow::cli
