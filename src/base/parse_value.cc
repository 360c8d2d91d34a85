#include "base/parse_value.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <limits>

namespace longbow {
namespace {

struct Unit {
  std::string_view name;
  int64_t factor;
};

constexpr std::array<Unit, 8> kDurationUnits = {{{"ns", 1},
                                                 {"us", 1'000},
                                                 {"µs", 1'000},
                                                 {"ms", 1'000'000},
                                                 {"s", 1'000'000'000},
                                                 {"m", 60'000'000'000},
                                                 {"h", 3'600'000'000'000},
                                                 {"μs", 1'000}}};  // Go takes both letters mu

constexpr std::array<Unit, 10> kSizeUnits = {{{"", 1},
                                              {"B", 1},
                                              {"kB", 1'000},
                                              {"MB", 1'000'000},
                                              {"GB", 1'000'000'000},
                                              {"TB", 1'000'000'000'000},
                                              {"KiB", 1ll << 10},
                                              {"MiB", 1ll << 20},
                                              {"GiB", 1ll << 30},
                                              {"TiB", 1ll << 40}}};

template <size_t kSize>
const Unit* FindUnit(const std::array<Unit, kSize>& units, std::string_view name) {
  for (const Unit& unit : units) {
    if (unit.name == name) {
      return &unit;
    }
  }
  return nullptr;
}

Status Expected(std::string_view what, std::string_view text) {
  return InvalidArgument("expected " + std::string(what) + ", got '" + std::string(text) + "'");
}

template <typename Number>
Result<Number> ParseNumber(std::string_view text, std::string_view what) {
  Number number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    return Expected(what, text);
  }
  return number;
}

}  // namespace

Result<bool> ParseBool(std::string_view text) {
  if (text == "true" || text == "1") {
    return true;
  }
  if (text == "false" || text == "0") {
    return false;
  }
  return Expected("true or false", text);
}

Result<int64_t> ParseInt(std::string_view text) { return ParseNumber<int64_t>(text, "a whole number"); }

Result<double> ParseFloat(std::string_view text) {
  Result<double> number = ParseNumber<double>(text, "a number");
  if (number.ok() && !std::isfinite(*number)) {
    return Expected("a finite number", text);
  }
  return number;
}

Result<std::chrono::nanoseconds> ParseDuration(std::string_view text) {
  const Status wrong = Expected("a duration such as 200ms, 5m or 1h30m", text);
  if (text == "0") {
    return std::chrono::nanoseconds(0);
  }
  double total_ns = 0;
  std::string_view rest = text;
  do {
    const size_t number_end = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const size_t unit_end = std::min(rest.find_first_of("0123456789.", number_end), rest.size());
    Result<double> number = ParseFloat(rest.substr(0, number_end));
    const Unit* unit = FindUnit(kDurationUnits, rest.substr(number_end, unit_end - number_end));
    if (!number.ok() || unit == nullptr) {
      return wrong;
    }
    total_ns += *number * static_cast<double>(unit->factor);
    rest.remove_prefix(unit_end);
  } while (!rest.empty());
  if (total_ns >= static_cast<double>(std::numeric_limits<int64_t>::max())) {
    return Expected("a duration below 292 years", text);
  }
  return std::chrono::nanoseconds(std::llround(total_ns));
}

Result<uint64_t> ParseSize(std::string_view text) {
  const size_t number_end = std::min(text.find_first_not_of("0123456789"), text.size());
  const Result<uint64_t> number = ParseNumber<uint64_t>(text.substr(0, number_end), "");
  const Unit* unit = FindUnit(kSizeUnits, text.substr(number_end));
  if (!number.ok() || unit == nullptr) {
    return Expected("a size in bytes or with a unit, such as 1048576, 64MiB or 2GB", text);
  }
  const auto factor = static_cast<uint64_t>(unit->factor);
  if (*number > std::numeric_limits<uint64_t>::max() / factor) {
    return Expected("a size below 16 EiB", text);
  }
  return *number * factor;
}

}  // namespace longbow
