// Numbers, durations and sizes as people write them in configuration.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow {

// All take the whole text and nothing but it; INVALID_ARGUMENT says what was expected and quotes what came.

// "true", "false", "1", "0".
Result<bool> ParseBool(std::string_view text);
Result<int64_t> ParseInt(std::string_view text);
Result<double> ParseFloat(std::string_view text);
// Go's duration syntax: "2h", "1h30m", "1.5s", "200ms", "0"; units ns, us, µs, ms, s, m, h; not negative.
Result<std::chrono::nanoseconds> ParseDuration(std::string_view text);
// Bytes: "536870912", or a whole number with a unit: B, KiB, MiB, GiB, TiB, and kB, MB, GB, TB (powers of ten).
Result<uint64_t> ParseSize(std::string_view text);

}  // namespace longbow
