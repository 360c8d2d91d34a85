// Moments as people read them.
#pragma once

#include <cstdint>
#include <string>

namespace longbow {

// "2026-01-31T12:00:00Z" of nanoseconds since 1970.
std::string UtcTime(int64_t wall_ns);

}  // namespace longbow
