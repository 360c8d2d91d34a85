// What one caller may do.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow::access {

// Each includes those before it.
enum class Right : uint8_t { kNone, kRead, kWrite, kAdmin };

std::string_view RightName(Right right);
// "read", "write", "admin"; INVALID_ARGUMENT names what came.
Result<Right> ParseRight(std::string_view text);

inline constexpr std::string_view kAllNamespaces = "*";

struct Grant {
  std::string key_id;  // empty: no key was asked for
  Right right = Right::kAdmin;
  std::string name_space{kAllNamespaces};

  bool EveryNamespace() const { return name_space == kAllNamespaces; }
  bool Covers(std::string_view other) const { return EveryNamespace() || name_space == other; }
  // PERMISSION_DENIED, in words that say nothing of what exists. `verb` is what was asked for.
  Status Allow(Right needed, std::string_view verb) const;
  Status AllowNamespace(std::string_view other) const;
};

}  // namespace longbow::access
