// `longbow export` and `longbow import`: docs/snapshots.md.
#pragma once

#include <span>
#include <string>

namespace longbow::cli {

// Print what they did. Return the exit status: 0 done, 1 not, 2 for a command line that is wrong.
int RunExport(std::span<const std::string> arguments);
int RunImport(std::span<const std::string> arguments);

}  // namespace longbow::cli
