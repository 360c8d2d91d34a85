// A filter's value, written as text, on the number line of a column.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include <arrow/util/basic_decimal.h>

namespace longbow::filter {

// A number as its floor and whether that is the number itself. Wide enough for every Arrow integer and decimal; beyond
// 10^76 it saturates there.
struct Bound {
  arrow::BasicDecimal256 floor;
  bool exact = true;
};

// "10", "-3.25", "1e3" times 10^scale. Nothing if the text is no number.
std::optional<Bound> ParseNumber(std::string_view text, int32_t scale);

// Days, seconds, ... since 1970-01-01 UTC of "2025-03-01", "2025-03-01T10:00", "2025-03-01 10:00:00.5Z",
// "2025-03-01T10:00:00+02:00"; without a zone the text is UTC. Nothing if it is no such text.
std::optional<Bound> ParseInstant(std::string_view text, int64_t unit_ns);
// The time of day in "10:00", "10:00:30", "10:00:30.25".
std::optional<Bound> ParseTimeOfDay(std::string_view text, int64_t unit_ns);

// "true", "false", "1", "0" in any case.
std::optional<bool> ParseBool(std::string_view text);

// A finite or infinite number rounded to float or double; too large ones become infinite with `beyond` set, "nan" is
// none.
template <typename Float>
struct Rounded {
  Float value = 0;
  bool beyond = false;  // the number was finite
};
template <typename Float>
std::optional<Rounded<Float>> ParseFloat(std::string_view text);

}  // namespace longbow::filter
