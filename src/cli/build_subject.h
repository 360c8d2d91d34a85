// Building an index and what it takes.
#pragma once

#include "base/status.h"
#include "cli/bench_options.h"
#include "cli/bench_report.h"
#include "cli/subject.h"

namespace longbow::cli {

SubjectOptions SubjectOptionsOf(const BenchOptions& options, uint32_t dimension, uint32_t capacity,
                                std::vector<SubjectFilter> filters);

// subject.Build with its time, CPU time and memory. rows: [count, dimension].
Result<BuildFigures> BuildMeasured(Subject& subject, const float* rows, uint32_t count);

}  // namespace longbow::cli
