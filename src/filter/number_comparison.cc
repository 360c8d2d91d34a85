// Integers of all kinds become one range [lo, hi] (or a set) of their physical type: `< 10.5` is `<= 10`, a date is its
// days, a decimal its unscaled integer. Floats likewise, strict bounds moved to the neighbouring float.
#include "filter/number_comparison.h"

#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/util/decimal.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <optional>
#include <type_traits>

#include "filter/bitmap_words.h"
#include "filter/literal.h"
#include "model/float16.h"
#include "model/type_name.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;
using Test = std::shared_ptr<const CompiledComparison>;
using Wide = arrow::BasicDecimal256;
using Int128 = __int128;
using Parser = std::function<std::optional<Bound>(std::string_view)>;

constexpr int64_t kSecondNs = 1'000'000'000;
constexpr int64_t kDayNs = 86'400 * kSecondNs;
constexpr int32_t kDecimalDigitsMax = 76;
constexpr size_t kScannedSetMax = 8;  // values compared one by one; larger sets are searched

Status InvalidValue(const Comparison& comparison, const arrow::DataType& type, const std::string& value) {
  return InvalidArgument("invalid " + TypeName(type) + " value \"" + value + "\" for field " + comparison.field);
}

class NoRowPasses final : public CompiledComparison {
 public:
  void Words(const arrow::ArrayData&, int64_t, int64_t count, uint64_t* out) const override {
    std::fill_n(out, WordsFor(count), 0);
  }
};

class BoolTest final : public CompiledComparison {
 public:
  BoolTest(bool pass_false, bool pass_true) : pass_false_(pass_false), pass_true_(pass_true) {}
  void Words(const arrow::ArrayData& column, int64_t begin, int64_t count, uint64_t* out) const override {
    const uint8_t* values = column.buffers[1]->data();
    for (int64_t at = 0; at < count; at += kWordBits) {
      const uint64_t word = LoadBits(values, column.offset + begin + at, std::min(kWordBits, count - at));
      *out++ = (pass_true_ ? word : 0) | (pass_false_ ? ~word : 0);
    }
  }

 private:
  const bool pass_false_, pass_true_;
};

// --- reading values from memory
// ---------------------------------------------------------------------------------------

// Value(p, i): the i-th value of the column's memory.
template <typename T>
struct Plain {
  using Type = T;
  static constexpr int64_t kSizeBytes = sizeof(T);
  static T Value(const uint8_t* data, int64_t i) { return reinterpret_cast<const T*>(data)[i]; }
};
struct Half {
  using Type = float;
  static constexpr int64_t kSizeBytes = 2;
  static float Value(const uint8_t* data, int64_t i) {
    return FloatFromHalf(reinterpret_cast<const uint16_t*>(data)[i]);
  }
};
struct Wide128 {  // IPC promises 8-byte alignment only
  using Type = Int128;
  static constexpr int64_t kSizeBytes = 16;
  static Int128 Value(const uint8_t* data, int64_t i) {
    Int128 value;
    std::memcpy(&value, data + i * kSizeBytes, sizeof(value));
    return value;
  }
};
struct Wide256 {
  using Type = Wide;
  static constexpr int64_t kSizeBytes = 32;
  static Wide Value(const uint8_t* data, int64_t i) {
    std::array<uint64_t, 4> words;
    std::memcpy(words.data(), data + i * kSizeBytes, sizeof(words));
    return Wide(words);
  }
};

template <typename Reader>
const uint8_t* Rows(const arrow::ArrayData& column, int64_t begin) {
  return column.buffers[1]->data() + (column.offset + begin) * Reader::kSizeBytes;
}

// hot path: >= 500 M rows/s for the plain types
template <typename Reader>
class RangeTest final : public CompiledComparison {
 public:
  using T = typename Reader::Type;
  RangeTest(T low, T high) : low_(low), high_(high) {}
  void Words(const arrow::ArrayData& column, int64_t begin, int64_t count, uint64_t* out) const override {
    const uint8_t* data = Rows<Reader>(column, begin);
    if constexpr (std::is_integral_v<T> && sizeof(T) <= 8) {
      // One unsigned comparison instead of two: below `low` wraps around to above `span`.
      using U = std::make_unsigned_t<T>;
      const U low = static_cast<U>(low_);
      const U span = static_cast<U>(static_cast<U>(high_) - low);
      FillWords(count, out,
                [=](int64_t i) { return static_cast<U>(static_cast<U>(Reader::Value(data, i)) - low) <= span; });
    } else {
      const T low = low_;
      const T high = high_;
      FillWords(count, out, [=](int64_t i) {
        const T value = Reader::Value(data, i);
        return static_cast<int>(value >= low) & static_cast<int>(value <= high);
      });
    }
  }

 private:
  const T low_, high_;
};

template <typename Reader>
class SetTest final : public CompiledComparison {
 public:
  using T = typename Reader::Type;
  explicit SetTest(std::vector<T> values) : values_(std::move(values)) {
    std::sort(values_.begin(), values_.end());
    values_.erase(std::unique(values_.begin(), values_.end()), values_.end());
  }
  void Words(const arrow::ArrayData& column, int64_t begin, int64_t count, uint64_t* out) const override {
    const uint8_t* data = Rows<Reader>(column, begin);
    if (values_.size() <= kScannedSetMax) {
      FillWords(count, out, [&](int64_t i) {
        const T value = Reader::Value(data, i);
        int found = 0;
        for (const T& wanted : values_) {
          found |= static_cast<int>(value == wanted);
        }
        return found;
      });
    } else {
      FillWords(count, out, [&](int64_t i) {
        const T value = Reader::Value(data, i);
        const auto at = std::lower_bound(values_.begin(), values_.end(), value);
        return at != values_.end() && *at == value;  // by ==, not by order: NaN is in no set
      });
    }
  }

 private:
  std::vector<T> values_;
};

// --- integers, dates, times, decimals
// ---------------------------------------------------------------------------------

template <typename T>
Wide ToWide(T value) {
  if constexpr (std::is_same_v<T, Wide>) {
    return value;
  } else {
    return Wide(
        arrow::BasicDecimal128(static_cast<int64_t>(static_cast<Int128>(value) >> 64), static_cast<uint64_t>(value)));
  }
}

template <typename T>
T FromWide(const Wide& value) {
  if constexpr (std::is_same_v<T, Wide>) {
    return value;
  } else if constexpr (std::is_same_v<T, Int128>) {
    const auto words = value.little_endian_array();
    return static_cast<Int128>(static_cast<unsigned __int128>(words[1]) << 64 | words[0]);
  } else {
    return static_cast<T>(value.little_endian_array()[0]);
  }
}

// The least and the greatest value of a type.
template <typename T>
std::pair<Wide, Wide> LimitsOf() {
  if constexpr (std::is_same_v<T, Wide>) {
    return {-Wide::GetMaxValue(kDecimalDigitsMax), Wide::GetMaxValue(kDecimalDigitsMax)};
  } else if constexpr (std::is_same_v<T, Int128>) {
    const Int128 max = static_cast<Int128>(~static_cast<unsigned __int128>(0) >> 1);
    return {ToWide(-max - 1), ToWide(max)};
  } else {
    return {ToWide(std::numeric_limits<T>::min()), ToWide(std::numeric_limits<T>::max())};
  }
}

template <typename Reader>
Test MakeRange(Wide low, Wide high) {
  using T = typename Reader::Type;
  const auto [least, greatest] = LimitsOf<T>();
  if (low < least) {
    low = least;
  }
  if (high > greatest) {
    high = greatest;
  }
  if (low > high) {
    return std::make_shared<NoRowPasses>();
  }
  return std::make_shared<RangeTest<Reader>>(FromWide<T>(low), FromWide<T>(high));
}

template <typename Reader>
Test MakeSet(const std::vector<Bound>& bounds) {
  using T = typename Reader::Type;
  const auto [least, greatest] = LimitsOf<T>();
  std::vector<T> values;
  for (const Bound& bound : bounds) {
    if (bound.exact && bound.floor >= least && bound.floor <= greatest) {
      values.push_back(FromWide<T>(bound.floor));
    }
  }
  return std::make_shared<SetTest<Reader>>(std::move(values));
}

template <typename Reader>
Result<Test> CompileInteger(const Comparison& comparison, const arrow::DataType& type, const Parser& parse) {
  std::vector<Bound> bounds;
  for (const std::string& value : comparison.values) {
    const std::optional<Bound> bound = parse(value);
    if (!bound) {
      return InvalidValue(comparison, type, value);
    }
    bounds.push_back(*bound);
  }
  if (comparison.op == Op::kIn) {
    return MakeSet<Reader>(bounds);
  }
  // The least value above a number that lies between two, and the greatest below it.
  const auto above = [](const Bound& bound) { return bound.exact ? bound.floor : bound.floor + Wide(1); };
  const auto [least, greatest] = LimitsOf<typename Reader::Type>();
  const Bound& first = bounds.front();
  switch (comparison.op) {
    case Op::kEq:
      return first.exact ? MakeRange<Reader>(first.floor, first.floor) : Test(std::make_shared<NoRowPasses>());
    case Op::kLt:
      return MakeRange<Reader>(least, above(first) + Wide(-1));
    case Op::kLe:
      return MakeRange<Reader>(least, first.floor);
    case Op::kGt:
      return MakeRange<Reader>(first.floor + Wide(1), greatest);
    case Op::kGe:
      return MakeRange<Reader>(above(first), greatest);
    default:
      return MakeRange<Reader>(above(first), bounds.back().floor);
  }
}

int64_t UnitNs(arrow::TimeUnit::type unit) {
  switch (unit) {
    case arrow::TimeUnit::SECOND:
      return kSecondNs;
    case arrow::TimeUnit::MILLI:
      return kSecondNs / 1'000;
    case arrow::TimeUnit::MICRO:
      return kSecondNs / 1'000'000;
    case arrow::TimeUnit::NANO:
      break;
  }
  return 1;
}

Parser Number(int32_t scale = 0) {
  return [scale](std::string_view text) { return ParseNumber(text, scale); };
}
Parser Instant(int64_t unit_ns) {
  return [unit_ns](std::string_view text) {
    const std::optional<Bound> instant = ParseInstant(text, unit_ns);
    return instant ? instant : ParseNumber(text, 0);
  };
}
Parser TimeOfDay(int64_t unit_ns) {
  return [unit_ns](std::string_view text) {
    const std::optional<Bound> time = ParseTimeOfDay(text, unit_ns);
    return time ? time : ParseNumber(text, 0);
  };
}

// --- floats
// -------------------------------------------------------------------------------------------------------------

// Steps of float16: 11 significant bits, none smaller than 2^-24. Half a step is enough to leave `value` and to reach
// no value beyond its neighbour; below a power of two, where steps are half as wide, it reaches the neighbour.
float Next(Half, float value, float towards) {
  if (std::isinf(value)) {
    return std::copysign(65504.0f, value);
  }
  int exponent = -24;
  if (value != 0) {
    std::frexp(value, &exponent);
  }
  const float half_step = std::ldexp(1.0f, std::max(exponent - 12, -25));
  return towards < value ? value - half_step : value + half_step;
}
float Next(Plain<float>, float value, float towards) { return std::nextafter(value, towards); }
double Next(Plain<double>, double value, double towards) { return std::nextafter(value, towards); }

// The float16 nearest to a float, as float: what a float16 column would hold for it.
float RoundToHalf(float value) {
  if (value == 0 || std::isinf(value)) {
    return value;
  }
  int exponent = 0;
  std::frexp(value, &exponent);
  const float step = std::ldexp(1.0f, std::max(exponent - 11, -24));
  const float rounded = std::nearbyint(value / step) * step;
  return std::fabs(rounded) > 65504.0f ? std::copysign(std::numeric_limits<float>::infinity(), value) : rounded;
}

template <typename Reader>
std::optional<Rounded<typename Reader::Type>> ParseFor(std::string_view text) {
  auto rounded = ParseFloat<typename Reader::Type>(text);
  if constexpr (std::is_same_v<Reader, Half>) {
    if (rounded && !std::isinf(rounded->value)) {
      rounded->value = RoundToHalf(rounded->value);
      rounded->beyond = std::isinf(rounded->value);
    }
  }
  return rounded;
}

template <typename Reader>
Result<Test> CompileFloat(const Comparison& comparison, const arrow::DataType& type) {
  using T = typename Reader::Type;
  constexpr T kInfinity = std::numeric_limits<T>::infinity();
  std::vector<Rounded<T>> values;
  for (const std::string& text : comparison.values) {
    const std::optional<Rounded<T>> value = ParseFor<Reader>(text);
    if (!value) {
      return InvalidValue(comparison, type, text);
    }
    values.push_back(*value);
  }
  if (comparison.op == Op::kIn) {
    std::vector<T> wanted;
    for (const Rounded<T>& value : values) {
      if (!value.beyond) {
        wanted.push_back(value.value);
      }
    }
    return Test(std::make_shared<SetTest<Reader>>(std::move(wanted)));
  }
  // A finite number beyond the type's range lies between its greatest value and infinity.
  const auto at_most = [&](const Rounded<T>& v, bool strict) {
    return strict || (v.beyond && v.value > 0) ? Next(Reader(), v.value, -kInfinity) : v.value;
  };
  const auto at_least = [&](const Rounded<T>& v, bool strict) {
    return strict || (v.beyond && v.value < 0) ? Next(Reader(), v.value, kInfinity) : v.value;
  };
  const auto range = [](T low, T high) {
    return low <= high ? Test(std::make_shared<RangeTest<Reader>>(low, high)) : Test(std::make_shared<NoRowPasses>());
  };
  const Rounded<T>& first = values.front();
  switch (comparison.op) {
    case Op::kEq:
      return first.beyond ? Test(std::make_shared<NoRowPasses>()) : range(first.value, first.value);
    case Op::kLt:
      return first.value == -kInfinity
                 ? (first.beyond ? range(-kInfinity, -kInfinity) : Test(std::make_shared<NoRowPasses>()))
                 : range(-kInfinity, at_most(first, true));
    case Op::kLe:
      return range(-kInfinity, at_most(first, false));
    case Op::kGt:
      return first.value == kInfinity
                 ? (first.beyond ? range(kInfinity, kInfinity) : Test(std::make_shared<NoRowPasses>()))
                 : range(at_least(first, true), kInfinity);
    case Op::kGe:
      return range(at_least(first, false), kInfinity);
    default:
      return range(at_least(first, false), at_most(values.back(), false));
  }
}

// Every operator asks the same of `false` and of `true`: compare 0 and 1.
Result<Test> CompileBool(const Comparison& comparison, const arrow::DataType& type) {
  std::vector<bool> values;
  for (const std::string& text : comparison.values) {
    const std::optional<bool> value = ParseBool(text);
    if (!value) {
      return InvalidValue(comparison, type, text);
    }
    values.push_back(*value);
  }
  const auto passes = [&](bool row) {
    switch (comparison.op) {
      case Op::kEq:
        return row == values.front();
      case Op::kLt:
        return row < values.front();
      case Op::kLe:
        return row <= values.front();
      case Op::kGt:
        return row > values.front();
      case Op::kGe:
        return row >= values.front();
      case Op::kIn:
        return std::find(values.begin(), values.end(), row) != values.end();
      default:
        return row >= values.front() && row <= values.back();
    }
  };
  return Test(std::make_shared<BoolTest>(passes(false), passes(true)));
}

}  // namespace

Result<std::shared_ptr<const CompiledComparison>> CompileNumbers(const Comparison& comparison,
                                                                 const arrow::DataType& type) {
  using arrow::Type;
  const auto scale = [&] { return static_cast<const arrow::DecimalType&>(type).scale(); };
  switch (type.id()) {
    case Type::BOOL:
      return CompileBool(comparison, type);
    case Type::INT8:
      return CompileInteger<Plain<int8_t>>(comparison, type, Number());
    case Type::UINT8:
      return CompileInteger<Plain<uint8_t>>(comparison, type, Number());
    case Type::INT16:
      return CompileInteger<Plain<int16_t>>(comparison, type, Number());
    case Type::UINT16:
      return CompileInteger<Plain<uint16_t>>(comparison, type, Number());
    case Type::INT32:
      return CompileInteger<Plain<int32_t>>(comparison, type, Number());
    case Type::UINT32:
      return CompileInteger<Plain<uint32_t>>(comparison, type, Number());
    case Type::INT64:
    case Type::DURATION:
      return CompileInteger<Plain<int64_t>>(comparison, type, Number());
    case Type::UINT64:
      return CompileInteger<Plain<uint64_t>>(comparison, type, Number());
    case Type::HALF_FLOAT:
      return CompileFloat<Half>(comparison, type);
    case Type::FLOAT:
      return CompileFloat<Plain<float>>(comparison, type);
    case Type::DOUBLE:
      return CompileFloat<Plain<double>>(comparison, type);
    case Type::DATE32:
      return CompileInteger<Plain<int32_t>>(comparison, type, Instant(kDayNs));
    case Type::DATE64:
      return CompileInteger<Plain<int64_t>>(comparison, type, Instant(UnitNs(arrow::TimeUnit::MILLI)));
    case Type::TIMESTAMP:
      return CompileInteger<Plain<int64_t>>(comparison, type,
                                            Instant(UnitNs(static_cast<const arrow::TimestampType&>(type).unit())));
    case Type::TIME32:
      return CompileInteger<Plain<int32_t>>(comparison, type,
                                            TimeOfDay(UnitNs(static_cast<const arrow::TimeType&>(type).unit())));
    case Type::TIME64:
      return CompileInteger<Plain<int64_t>>(comparison, type,
                                            TimeOfDay(UnitNs(static_cast<const arrow::TimeType&>(type).unit())));
    case Type::DECIMAL32:
      return CompileInteger<Plain<int32_t>>(comparison, type, Number(scale()));
    case Type::DECIMAL64:
      return CompileInteger<Plain<int64_t>>(comparison, type, Number(scale()));
    case Type::DECIMAL128:
      return CompileInteger<Wide128>(comparison, type, Number(scale()));
    case Type::DECIMAL256:
      return CompileInteger<Wide256>(comparison, type, Number(scale()));
    default:
      return Internal("not a number type: " + type.ToString());
  }
}

}  // namespace longbow::filter
