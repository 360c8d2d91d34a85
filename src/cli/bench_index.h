// `longbow bench index`: recall, speed, build cost and memory of an index on .npy files.
#pragma once

#include "base/file.h"
#include "base/status.h"
#include "cli/bench_options.h"
#include "cli/bench_report.h"
#include "kernels/kernels.h"

namespace longbow::cli {

// Reads the files, builds, measures. Progress goes to stderr, 'ready' lines of --step to stdout. Errors name the file
// or flag at fault: what the readers of files give, INVALID_ARGUMENT if files do not fit together, OUT_OF_RANGE if
// standard input ends before the last step.
Result<BenchReport> BenchIndex(const BenchOptions& options, FileSystem& fs, const kernels::Kernels& kernels);

}  // namespace longbow::cli
