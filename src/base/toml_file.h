// A flat TOML file as key, value and line. Keeps toml++, which is slow to compile, out of everything else.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longbow {

enum class TomlKind : uint8_t { kString, kInteger, kFloat, kBoolean, kOther };

struct TomlEntry {
  std::string key;
  TomlKind kind = TomlKind::kOther;
  std::string text;  // the string itself, or the number or word as TOML writes it; empty for kOther
  uint32_t line = 0;
};

// The top-level keys in the order of their lines. INVALID_ARGUMENT with file:line:column for what is not TOML.
Result<std::vector<TomlEntry>> ParseToml(std::string_view content, const std::string& path);

// `text` as a TOML basic string with its quotes.
std::string QuoteToml(std::string_view text);

}  // namespace longbow
