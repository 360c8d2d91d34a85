#include "model/widening.h"

#include <arrow/array.h>
#include <arrow/array/util.h>
#include <arrow/compute/cast.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>
#include <optional>
#include <vector>

#include "model/type_name.h"

namespace longbow {
namespace {

using arrow::Type;

bool IsWiderInteger(const arrow::DataType& from, const arrow::DataType& to) {
  const bool from_is_signed = arrow::is_signed_integer(from.id());
  const bool to_is_signed = arrow::is_signed_integer(to.id());
  return to.bit_width() > from.bit_width() && (from_is_signed == to_is_signed || to_is_signed);
}

// Seconds to nanoseconds as 0 to 3; nothing for other types.
std::optional<int> TimeUnitOf(const arrow::DataType& type) {
  if (type.id() != Type::TIME32 && type.id() != Type::TIME64) {
    return std::nullopt;
  }
  return static_cast<int>(static_cast<const arrow::TimeType&>(type).unit());
}

bool IsWiderDecimal(const arrow::DataType& from, const arrow::DataType& to) {
  const auto& have = static_cast<const arrow::DecimalType&>(from);
  const auto& want = static_cast<const arrow::DecimalType&>(to);
  return !have.Equals(want) && want.scale() >= have.scale() &&
         want.precision() - want.scale() >= have.precision() - have.scale() && want.byte_width() >= have.byte_width();
}

std::string Listed(const std::vector<std::string>& names, const char* last) {
  std::string text;
  for (size_t i = 0; i < names.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == names.size() ? std::string(" ") + last + " " : std::string(", ")) + names[i];
  }
  return text;
}

}  // namespace

bool IsWidening(const arrow::DataType& from, const arrow::DataType& to) {
  if (from.id() == Type::NA) {
    return to.id() != Type::NA;
  }
  if (arrow::is_integer(from.id()) && arrow::is_integer(to.id())) {
    return IsWiderInteger(from, to);
  }
  if (arrow::is_floating(from.id()) && arrow::is_floating(to.id())) {
    return to.bit_width() > from.bit_width();
  }
  if (arrow::is_decimal(from.id()) && arrow::is_decimal(to.id())) {
    return IsWiderDecimal(from, to);
  }
  if (const auto have = TimeUnitOf(from)) {
    const auto want = TimeUnitOf(to);
    return want && *want > *have;
  }
  return (from.id() == Type::STRING && to.id() == Type::LARGE_STRING) ||
         (from.id() == Type::BINARY && to.id() == Type::LARGE_BINARY) ||
         (from.id() == Type::DATE32 && to.id() == Type::DATE64);
}

std::string WideningAdvice(const arrow::DataType& type) {
  static const std::vector<std::shared_ptr<arrow::DataType>> kTypes = {
      arrow::int8(),
      arrow::int16(),
      arrow::int32(),
      arrow::int64(),
      arrow::uint8(),
      arrow::uint16(),
      arrow::uint32(),
      arrow::uint64(),
      arrow::float16(),
      arrow::float32(),
      arrow::float64(),
      arrow::utf8(),
      arrow::large_utf8(),
      arrow::binary(),
      arrow::large_binary(),
      arrow::date32(),
      arrow::date64(),
      arrow::time32(arrow::TimeUnit::SECOND),
      arrow::time32(arrow::TimeUnit::MILLI),
      arrow::time64(arrow::TimeUnit::MICRO),
      arrow::time64(arrow::TimeUnit::NANO),
  };
  std::vector<std::string> narrower;
  std::vector<std::string> wider;
  for (const auto& other : kTypes) {
    if (IsWidening(*other, type)) {
      narrower.push_back(TypeName(*other));
    } else if (IsWidening(type, *other)) {
      wider.push_back(TypeName(*other));
    }
  }
  std::string advice = narrower.empty() ? "" : "takes " + Listed(narrower, "and") + " too";
  if (!wider.empty()) {
    advice += (advice.empty() ? "becomes " : ", and becomes ") + Listed(wider, "or") + " if that comes";
  }
  return advice;
}

Result<std::shared_ptr<arrow::Array>> Widen(const std::shared_ptr<arrow::Array>& array,
                                            const std::shared_ptr<arrow::DataType>& type) {
  if (array->type()->Equals(*type)) {
    return array;
  }
  const auto widened =
      array->type_id() == Type::NA ? arrow::MakeArrayOfNull(type, array->length()) : arrow::compute::Cast(*array, type);
  if (widened.ok()) {
    return *widened;
  }
  const std::string what = "a column of " + TypeName(*array->type()) + " cannot be read as " + TypeName(*type) + ": " +
                           widened.status().message();
  return widened.status().IsOutOfMemory() ? ResourceExhausted(what) : Internal(what);
}

}  // namespace longbow
