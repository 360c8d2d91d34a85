// The options of `longbow serve`: the table, and the struct it fills.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "base/config.h"
#include "base/file.h"
#include "base/logging.h"
#include "base/status.h"
#include "node/serve_options.h"

namespace longbow::bin {

// Only what this version honours.
std::span<const Option> ServeTable();
// Names that Longbow's deployments set and this version does not honour: a warning each, so that existing Helm values
// and compose files still start.
std::span<const std::string_view> NotHonoured();

Result<Config> LoadConfig(std::span<const std::string> arguments, const Environment& environment, FileSystem& fs);

// Checks what no single value shows (addresses, certificates) and reads the PEM files. INVALID_ARGUMENT and what the
// files give; each message names the option and where its value comes from. Creates nothing.
Result<node::ServeOptions> ToServeOptions(const Config& config, FileSystem& fs);

LoggerOptions ToLoggerOptions(const Config& config);

}  // namespace longbow::bin
