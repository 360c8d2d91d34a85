// What an index of so many rows would take, before anybody has them: bytes and minutes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/npy_file.h"
#include "kernels/kernels.h"
#include "model/metric.h"

namespace longbow::cli {

struct EstimateOptions {
  uint64_t rows = 0;
  uint32_t dimension = 0;
  Metric metric = Metric::kL2;
  uint32_t threads = 1;
  uint64_t memory_bytes = 0;  // 0: any amount
  // Builds of the calibration end when they have taken this long in all, or have grown to all rows.
  double calibration_seconds = 4;
};

// One kind of index at that size.
struct Estimate {
  std::string state;  // a word of kSubjectStates
  uint64_t bytes = 0;
  double cpu_s = 0;
  double wall_s = 0;
  uint32_t calibrated_rows = 0;  // of the largest index that was really built for it
  bool fits = true;              // into memory_bytes
};

struct EstimateReport {
  std::vector<Estimate> states;       // best to search first
  std::optional<std::string> chosen;  // the first that fits
};

// Builds small indexes of `sample` (rows like those to come; null: made ones), doubling their size, and goes on from
// there: bytes are linear in rows; time per row is linear in the logarithm of rows, because a walk's length is.
// INVALID_ARGUMENT if the sample has another dimension or too few rows for two builds (2,048, if not fewer are asked
// for).
Result<EstimateReport> EstimateIndex(const EstimateOptions& options, const Matrix<float>* sample,
                                     const kernels::Kernels& kernels);

}  // namespace longbow::cli
