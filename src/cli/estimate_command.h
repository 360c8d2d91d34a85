// `longbow estimate`: EstimateIndex from the command line.
#pragma once

#include <span>
#include <string>

namespace longbow::cli {

// Prints a table, or with --json FILE also writes it there. Returns the exit status: 0, 1 if it failed, 2 for a command
// line that is wrong.
int RunEstimate(std::span<const std::string> arguments);

}  // namespace longbow::cli
