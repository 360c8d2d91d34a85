// The ceilings of edges and of what walks along them; all others stand in limits.h.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longbow::limits {

inline constexpr size_t kEdgesPerRequestMax = 100'000;
// Of one collection, with those that ended and are not cleared away yet.
inline constexpr uint64_t kEdgesMax = 1u << 30;
inline constexpr uint32_t kPredicatesMax = 65'536;     // likewise
inline constexpr uint32_t kGraphHopsMax = 64;          // of a traversal, of spreading activation
inline constexpr uint32_t kGraphPathsMax = 100'000;    // that one traversal gives
inline constexpr uint64_t kGraphStepsMax = 4'000'000;  // edges that one looks at

}  // namespace longbow::limits
