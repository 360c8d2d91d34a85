// Queries with exact answers to measure a graph by.
#pragma once

#include <cstdint>
#include <vector>

#include "base/status.h"
#include "index/recall_model.h"
#include "index/typed_query.h"
#include "index/vector_rows.h"

namespace longbow::index {

struct CalibrationQuery {
  TypedQuery query;
  LocalId left_out = kNoRow;
  std::vector<double> nearest;  // distances of the nearest living rows other than left_out, nearest first
};

// Of the kinds that RecallModel names. No exact answers yet. None if fewer than two rows live.
Result<std::vector<CalibrationQuery>> MakeCalibrationQueries(const VectorRows& rows, const CalibrationOptions& options);

// Fills in `nearest` of each, at most k. The rows are read once for all queries. Errors: CANCELLED, DEADLINE_EXCEEDED.
Status FindNearest(const VectorRows& rows, size_t k, const CalibrationOptions& options,
                   std::vector<CalibrationQuery>& queries);

}  // namespace longbow::index
