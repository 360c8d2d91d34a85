// `longbow keys`: the file of keys and limits that a node's access_file names.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow::cli {

// create, list, revoke, rotate, limit. The exit status: 0; 1 for an error; 2 for a wrong command line.
int RunKeys(std::span<const std::string> arguments);

// "30d", "12h30m", or "never": nothing. INVALID_ARGUMENT for what is neither, for 0 and for more than 100 years.
Result<std::optional<int64_t>> ParseLifetimeNs(std::string_view text);

}  // namespace longbow::cli
