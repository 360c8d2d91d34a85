// What the commands on data folders and snapshots share: a table of options, a help text, an exit status.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/status.h"

namespace longbow::cli {

struct Command {
  const char* name;
  const char* help;  // what stands above the options
  std::span<const Option> table;
  std::span<const std::string_view> required;  // options that may not be empty
};

// Parses, runs, prints the error. The exit status: 0; 1 for an error; 2 for INVALID_ARGUMENT. Of the environment only
// what names an S3 store counts: other variables configure nodes. LONGBOW_KILL_AT works as in `longbow serve`.
int RunCommand(const Command& command, std::span<const std::string> arguments, Status (*run)(const Config& config));

}  // namespace longbow::cli
