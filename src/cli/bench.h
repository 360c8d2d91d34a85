// `longbow bench`: the benchmarks a user can run.
#pragma once

#include <span>
#include <string>

namespace longbow::cli {

// Runs the benchmark that the first of `arguments` (those behind `bench`) names and prints what it found; errors go to
// stderr. Returns the exit status: 0, 1 if the benchmark failed, 2 for a command line that is wrong.
int RunBench(std::span<const std::string> arguments);

}  // namespace longbow::cli
