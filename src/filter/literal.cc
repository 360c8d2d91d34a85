#include "filter/literal.h"

#include <arrow/util/decimal.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>
#include <system_error>

namespace longbow::filter {
namespace {

using Wide = arrow::BasicDecimal256;
using Int128 = __int128;

constexpr size_t kDigitsMax = 76;  // what Wide holds
constexpr int64_t kSecondNs = 1'000'000'000;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Reads text from the front; every Take says whether it found what it wanted.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}
  bool done() const { return text_.empty(); }
  char peek() const { return text_.empty() ? '\0' : text_.front(); }
  bool Take(char c) {
    if (peek() != c || text_.empty()) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }
  std::string_view Digits() {
    const auto end = std::find_if_not(text_.begin(), text_.end(), IsDigit);
    const std::string_view digits = text_.substr(0, static_cast<size_t>(end - text_.begin()));
    text_.remove_prefix(digits.size());
    return digits;
  }
  // Exactly `width` digits, in low ..= high.
  bool Fixed(size_t width, int low, int high, int* value) {
    if (text_.size() < width || !std::all_of(text_.begin(), text_.begin() + static_cast<long>(width), IsDigit)) {
      return false;
    }
    std::from_chars(text_.data(), text_.data() + width, *value);
    text_.remove_prefix(width);
    return *value >= low && *value <= high;
  }

 private:
  std::string_view text_;
};

Wide PowerOfTen(size_t exponent) {
  Wide value(1);
  for (size_t i = 0; i < exponent; ++i) {
    value *= Wide(10);
  }
  return value;
}

Wide FromInt128(Int128 value) {
  return Wide(arrow::BasicDecimal128(static_cast<int64_t>(value >> 64), static_cast<uint64_t>(value)));
}

// floor(sign * digits * 10^exponent)
Bound Scaled(bool negative, std::string digits, int64_t exponent) {
  digits.erase(0, std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.empty()) {
    return {Wide(0), true};
  }
  const int64_t whole_digits = static_cast<int64_t>(digits.size()) + exponent;
  Bound bound;
  if (whole_digits > static_cast<int64_t>(kDigitsMax)) {
    bound.floor = PowerOfTen(kDigitsMax);
  } else {
    const size_t kept = static_cast<size_t>(std::clamp<int64_t>(whole_digits, 0, static_cast<int64_t>(digits.size())));
    bound.exact = digits.find_first_not_of('0', kept) == std::string::npos;
    for (const char digit : digits.substr(0, kept)) {
      bound.floor = bound.floor * Wide(10) + Wide(digit - '0');
    }
    if (whole_digits > static_cast<int64_t>(kept)) {
      bound.floor *= PowerOfTen(static_cast<size_t>(whole_digits) - kept);
    }
  }
  if (negative) {
    bound.floor = -bound.floor + (bound.exact ? Wide(0) : Wide(-1));
  }
  return bound;
}

Bound InUnits(Int128 value_ns, int64_t unit_ns) {
  Int128 floor = value_ns / unit_ns;
  const Int128 rest = value_ns % unit_ns;
  floor -= rest < 0 ? 1 : 0;
  return {FromInt128(floor), rest == 0};
}

// ".5" = 500,000,000; digits past the ninth are refused: no column could tell the difference.
bool TakeFraction(Scanner& in, int64_t* fraction_ns) {
  *fraction_ns = 0;
  if (!in.Take('.')) {
    return true;
  }
  const std::string_view digits = in.Digits();
  if (digits.empty() || digits.size() > 9) {
    return false;
  }
  for (size_t i = 0; i < 9; ++i) {
    *fraction_ns = *fraction_ns * 10 + (i < digits.size() ? digits[i] - '0' : 0);
  }
  return true;
}

// HH:MM[:SS[.fff]]
bool TakeClock(Scanner& in, int64_t* clock_ns) {
  int hours = 0;
  int minutes = 0;
  int seconds = 0;
  int64_t fraction_ns = 0;
  if (!in.Fixed(2, 0, 23, &hours) || !in.Take(':') || !in.Fixed(2, 0, 59, &minutes)) {
    return false;
  }
  if (in.Take(':') && (!in.Fixed(2, 0, 59, &seconds) || !TakeFraction(in, &fraction_ns))) {
    return false;
  }
  *clock_ns = (hours * 3600 + minutes * 60 + seconds) * kSecondNs + fraction_ns;
  return true;
}

// Z, +02:00, -0230, +02, or nothing
bool TakeZone(Scanner& in, int64_t* zone_ns) {
  *zone_ns = 0;
  if (in.Take('Z') || in.Take('z') || in.done()) {
    return true;
  }
  const bool west = in.peek() == '-';
  int hours = 0;
  int minutes = 0;
  if ((!in.Take('-') && !in.Take('+')) || !in.Fixed(2, 0, 23, &hours)) {
    return false;
  }
  if (!in.done() && ((in.Take(':'), !in.Fixed(2, 0, 59, &minutes)))) {
    return false;
  }
  *zone_ns = (hours * 3600 + minutes * 60) * kSecondNs * (west ? -1 : 1);
  return true;
}

}  // namespace

std::optional<Bound> ParseNumber(std::string_view text, int32_t scale) {
  Scanner in(text);
  const bool negative = in.Take('-');
  if (!negative) {
    in.Take('+');
  }
  std::string digits(in.Digits());
  int64_t exponent = scale;
  if (in.Take('.')) {
    const std::string_view fraction = in.Digits();
    digits += fraction;
    exponent -= static_cast<int64_t>(fraction.size());
  }
  if (digits.empty()) {
    return std::nullopt;
  }
  if (in.Take('e') || in.Take('E')) {
    const bool down = in.Take('-');
    if (!down) {
      in.Take('+');
    }
    const std::string_view power = in.Digits();
    if (power.empty()) {
      return std::nullopt;
    }
    int64_t value = 1'000'000'000;  // stands for any exponent that is out of all range
    if (const auto first = power.find_first_not_of('0'); first == std::string_view::npos) {
      value = 0;
    } else if (power.size() - first < 10) {
      std::from_chars(power.data(), power.data() + power.size(), value);
    }
    exponent += down ? -value : value;
  }
  if (!in.done()) {
    return std::nullopt;
  }
  return Scaled(negative, std::move(digits), exponent);
}

std::optional<Bound> ParseInstant(std::string_view text, int64_t unit_ns) {
  Scanner in(text);
  int year = 0;
  int month = 0;
  int day = 0;
  if (!in.Fixed(4, 0, 9999, &year) || !in.Take('-') || !in.Fixed(2, 1, 12, &month) || !in.Take('-') ||
      !in.Fixed(2, 1, 31, &day)) {
    return std::nullopt;
  }
  const std::chrono::year_month_day date{std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day))};
  if (!date.ok()) {
    return std::nullopt;
  }
  int64_t clock_ns = 0;
  int64_t zone_ns = 0;
  if (!in.done() &&
      ((!in.Take('T') && !in.Take('t') && !in.Take(' ')) || !TakeClock(in, &clock_ns) || !TakeZone(in, &zone_ns))) {
    return std::nullopt;
  }
  if (!in.done()) {
    return std::nullopt;
  }
  const Int128 days = std::chrono::sys_days(date).time_since_epoch().count();
  return InUnits(days * 86'400 * kSecondNs + clock_ns - zone_ns, unit_ns);
}

std::optional<Bound> ParseTimeOfDay(std::string_view text, int64_t unit_ns) {
  Scanner in(text);
  int64_t clock_ns = 0;
  if (!TakeClock(in, &clock_ns) || !in.done()) {
    return std::nullopt;
  }
  return InUnits(clock_ns, unit_ns);
}

std::optional<bool> ParseBool(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (lower == "true" || lower == "1") {
    return true;
  }
  if (lower == "false" || lower == "0") {
    return false;
  }
  return std::nullopt;
}

template <typename Float>
std::optional<Rounded<Float>> ParseFloat(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) {
    text.remove_prefix(1);
  }
  Rounded<Float> result;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, result.value);
  if (text.empty() || stop != end || (error != std::errc() && error != std::errc::result_out_of_range)) {
    return std::nullopt;
  }
  if (error == std::errc::result_out_of_range) {
    // Too large or too small? The exact parser knows: too small has a floor of 0 or -1.
    const std::optional<Bound> exact = ParseNumber(text, 0);
    const bool negative = text.front() == '-';
    const bool tiny = exact && (exact->floor == Wide(0) || exact->floor == Wide(-1));
    result.beyond = !tiny;
    result.value = tiny ? Float(0) : std::numeric_limits<Float>::infinity();
    result.value = negative ? -result.value : result.value;
  }
  return std::isnan(result.value) ? std::nullopt : std::optional(result);
}

template std::optional<Rounded<float>> ParseFloat<float>(std::string_view text);
template std::optional<Rounded<double>> ParseFloat<double>(std::string_view text);

}  // namespace longbow::filter
