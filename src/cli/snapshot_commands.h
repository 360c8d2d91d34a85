// `longbow snapshot`, `longbow snapshots` and `longbow restore`: docs/snapshots.md.
#pragma once

#include <span>
#include <string>

namespace longbow::cli {

// Print what they did. Return the exit status: 0 done, 1 not, 2 for a command line that is wrong.
int RunSnapshot(std::span<const std::string> arguments);   // of a data folder that no node uses
int RunSnapshots(std::span<const std::string> arguments);  // lists them
int RunRestore(std::span<const std::string> arguments);

}  // namespace longbow::cli
