// What a benchmark of an index found: as JSON (docs/bench-index.md) and as a table.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/bench_options.h"
#include "cli/recall_curve.h"
#include "kernels/kernels.h"

namespace longbow::cli {

struct BuildFigures {
  double wall_s = 0;
  double cpu_s = 0;             // of the whole process
  uint64_t bytes = 0;           // rows and index: what the index says, else resident_bytes
  uint64_t resident_bytes = 0;  // by which the process grew
  uint32_t rows = 0;
};

struct ChurnRound {
  uint32_t round = 0;  // 0: before the first change
  double seconds = 0;  // of deleting and inserting
  double cpu_s = 0;
  uint64_t unreachable = 0;
  std::vector<CurvePoint> curve;        // recall only
  std::vector<CurvePoint> fresh_curve;  // an index just built of the rows that live now
};

// What was measured of one filter.
struct FilterRuns {
  std::string spec;                           // as given; empty: no filter was
  uint32_t passing = 0;                       // rows
  std::vector<std::vector<CurvePoint>> runs;  // each with the same parameters
};

struct BenchReport {
  uint32_t rows = 0;
  uint32_t dimension = 0;
  uint32_t queries = 0;
  BuildFigures build;
  std::vector<FilterRuns> filters;  // one at least, unless under change
  std::vector<ChurnRound> churn;
  uint32_t churned_rows = 0;  // replaced in each round

  const std::vector<std::vector<CurvePoint>>& runs() const { return filters.front().runs; }
};

// The points of all runs, one for each parameter: medians.
std::vector<CurvePoint> MedianCurve(const std::vector<std::vector<CurvePoint>>& runs);

// The report as one JSON document, and as text for people.
std::string ReportAsJson(const BenchOptions& options, const BenchReport& report, const kernels::Kernels& kernels);
std::string ReportAsTable(const BenchOptions& options, const BenchReport& report);

}  // namespace longbow::cli
