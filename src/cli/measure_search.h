// The timed loop: all queries against one index at one setting.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "cli/exact_answers.h"
#include "cli/npy_file.h"
#include "cli/recall_curve.h"
#include "cli/row_mask.h"
#include "cli/subject.h"

namespace longbow::cli {

struct SearchRun {
  Subject* subject = nullptr;
  const Matrix<float>* queries = nullptr;
  const ExactAnswers* answers = nullptr;
  // Row of the base behind each of the subject's ids; null: they are the same. Answers name base rows.
  const std::vector<uint32_t>* base_rows = nullptr;
  const RowMask* mask = nullptr;  // over the subject's ids; null = all pass
  uint32_t k = 10;
  bool exact_distances = true;
  uint32_t threads = 1;
  double seconds_min = 0.2;  // of each measurement; passes over the queries are repeated until then
};

// One pass that nobody times counts recall and warms the caches, then all queries are asked for at least seconds_min.
// p50 and p99 are of the single queries of all timed passes.
Result<CurvePoint> MeasureSearch(const SearchRun& run, uint32_t ef);

// The pass that counts only: recall and short_answers of the point, the rest 0.
Result<CurvePoint> MeasureRecall(const SearchRun& run, uint32_t ef);

}  // namespace longbow::cli
