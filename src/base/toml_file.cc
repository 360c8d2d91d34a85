#include "base/toml_file.h"

#include <toml++/toml.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <exception>

namespace longbow {
namespace {

TomlEntry MakeEntry(std::string_view key, const toml::node& node) {
  TomlEntry entry{.key = std::string(key), .line = node.source().begin.line};
  if (const auto* text = node.as_string()) {
    entry.kind = TomlKind::kString;
    entry.text = text->get();
  } else if (const auto* integer = node.as_integer()) {
    entry.kind = TomlKind::kInteger;
    entry.text = std::to_string(integer->get());
  } else if (const auto* number = node.as_floating_point()) {
    std::array<char, 32> buffer;
    const auto [end, error] = std::to_chars(buffer.data(), buffer.data() + buffer.size(), number->get());
    entry.kind = TomlKind::kFloat;
    entry.text.assign(buffer.data(), end);
  } else if (const auto* boolean = node.as_boolean()) {
    entry.kind = TomlKind::kBoolean;
    entry.text = boolean->get() ? "true" : "false";
  }
  return entry;
}

}  // namespace

Result<std::vector<TomlEntry>> ParseToml(std::string_view content, const std::string& path) {
  try {
    const toml::table table = toml::parse(content);
    std::vector<TomlEntry> entries;
    for (const auto& [key, node] : table) {
      entries.push_back(MakeEntry(key.str(), node));
    }
    std::ranges::stable_sort(entries, {}, &TomlEntry::line);
    return entries;
  } catch (const toml::parse_error& error) {
    const auto& at = error.source().begin;
    return InvalidArgument(path + ":" + std::to_string(at.line) + ":" + std::to_string(at.column) + ": " +
                           std::string(error.description()));
  } catch (const std::exception& error) {
    return Internal(path + ": " + error.what());
  }
}

std::string QuoteToml(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      quoted += '\\';
      quoted += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      quoted += "\\u00";
      quoted += kHex[byte >> 4];
      quoted += kHex[byte & 15];
    } else {
      quoted += c;
    }
  }
  return quoted + '"';
}

}  // namespace longbow
