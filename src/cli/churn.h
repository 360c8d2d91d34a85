// Whether an index stays good while its rows are replaced.
#pragma once

#include <vector>

#include "base/status.h"
#include "cli/bench_options.h"
#include "cli/bench_report.h"
#include "cli/npy_file.h"
#include "index/vector_rows.h"
#include "kernels/kernels.h"

namespace longbow::cli {

// How many of `rows` the index begins with, so that the rest is enough for every round's new rows.
uint32_t LivingRows(uint32_t rows, const ChurnPlan& plan);

// Builds the index of the first LivingRows rows and goes through the rounds of options.churn. After each, and before
// the first, recall at every ef of options.efs beside that of an index built afresh of the rows that live then, both
// against exact answers among them. Fills report->build, churn and churned_rows. rows: the base, finished.
// INVALID_ARGUMENT if the base is too small for the plan; UNIMPLEMENTED if the index cannot insert.
Status RunChurn(const BenchOptions& options, const index::VectorRows& rows, const Matrix<float>& queries,
                const kernels::Kernels& kernels, BenchReport* report);

}  // namespace longbow::cli
