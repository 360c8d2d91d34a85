#include "wire/json.h"

#include <charconv>
#include <cmath>

#include "base/limits.h"

namespace longbow::wire {
namespace {

namespace dom = simdjson::dom;

Status WrongType(std::initializer_list<std::string_view> keys, std::string_view wanted) {
  return InvalidArgument("'" + std::string(*keys.begin()) + "' must be " + std::string(wanted));
}

std::optional<int64_t> IntegerOf(dom::element element) {
  if (int64_t value = 0; element.get(value) == simdjson::SUCCESS) {
    return value;
  }
  if (double value = 0; element.get(value) == simdjson::SUCCESS) {
    constexpr double kExactMax = 9007199254740992.0;  // 2^53: beyond, a double is no certain integer
    if (std::trunc(value) == value && std::fabs(value) <= kExactMax) {
      return static_cast<int64_t>(value);
    }
    return std::nullopt;
  }
  if (std::string_view text; element.get(text) == simdjson::SUCCESS) {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error == std::errc() && end == text.data() + text.size()) {
      return value;
    }
  }
  return std::nullopt;
}

}  // namespace

Result<JsonObject> JsonObject::Parse(std::string_view text, std::string_view what) {
  if (text.size() > limits::kTicketSizeMaxBytes) {
    return InvalidArgument(std::string(what) + ": " + std::to_string(text.size()) + " bytes of JSON, at most " +
                           std::to_string(limits::kTicketSizeMaxBytes) + " are read");
  }
  JsonObject json;
  dom::element element;
  if (const auto error = json.parser_->parse(text.data(), text.size()).get(element); error != simdjson::SUCCESS) {
    return InvalidArgument(std::string(what) + ": " + simdjson::error_message(error));
  }
  if (element.get(json.root_) != simdjson::SUCCESS) {
    return InvalidArgument(std::string(what) + ": expected a JSON object");
  }
  return json;
}

std::optional<dom::element> Member(dom::object object, std::initializer_list<std::string_view> keys) {
  for (const std::string_view key : keys) {
    dom::element element;
    if (object.at_key(key).get(element) == simdjson::SUCCESS && !element.is_null()) {
      return element;
    }
  }
  return std::nullopt;
}

Result<std::optional<std::string>> TextMember(dom::object object, std::initializer_list<std::string_view> keys) {
  const auto element = Member(object, keys);
  if (!element) {
    return std::optional<std::string>();
  }
  std::string_view text;
  if (element->get(text) != simdjson::SUCCESS) {
    return WrongType(keys, "a string");
  }
  return std::optional(std::string(text));
}

Result<std::optional<int64_t>> IntegerMember(dom::object object, std::initializer_list<std::string_view> keys) {
  const auto element = Member(object, keys);
  if (!element) {
    return std::optional<int64_t>();
  }
  const std::optional<int64_t> value = IntegerOf(*element);
  if (!value) {
    return WrongType(keys, "an integer");
  }
  return value;
}

Result<std::optional<double>> NumberMember(dom::object object, std::initializer_list<std::string_view> keys) {
  const auto element = Member(object, keys);
  if (!element) {
    return std::optional<double>();
  }
  double value = 0;
  if (element->get(value) != simdjson::SUCCESS) {
    return WrongType(keys, "a number");
  }
  return std::optional(value);
}

Result<std::optional<bool>> BoolMember(dom::object object, std::initializer_list<std::string_view> keys) {
  const auto element = Member(object, keys);
  if (!element) {
    return std::optional<bool>();
  }
  bool value = false;
  if (element->get(value) != simdjson::SUCCESS) {
    return WrongType(keys, "true or false");
  }
  return std::optional(value);
}

std::optional<std::string> ScalarText(dom::element element) {
  switch (element.type()) {
    case dom::element_type::STRING:
      return std::string(element.get_string().value_unsafe());
    case dom::element_type::INT64:
      return std::to_string(element.get_int64().value_unsafe());
    case dom::element_type::UINT64:
      return std::to_string(element.get_uint64().value_unsafe());
    case dom::element_type::BOOL:
      return element.get_bool().value_unsafe() ? "true" : "false";
    case dom::element_type::DOUBLE: {
      char digits[32];
      const auto [end, error] = std::to_chars(digits, digits + sizeof digits, element.get_double().value_unsafe());
      return std::string(digits, end);
    }
    default:
      return std::nullopt;
  }
}

Result<std::vector<float>> Floats(dom::element element, std::string_view name) {
  dom::array array;
  if (element.get(array) != simdjson::SUCCESS) {
    return InvalidArgument("'" + std::string(name) + "' must be a list of numbers");
  }
  std::vector<float> values;
  values.reserve(array.size());
  for (const dom::element item : array) {
    double value = 0;
    if (item.get(value) != simdjson::SUCCESS) {
      return InvalidArgument("'" + std::string(name) + "' must be a list of numbers; element " + std::to_string(values.size()) + " is not");
    }
    if (!std::isfinite(static_cast<float>(value))) {
      return InvalidArgument("'" + std::string(name) + "': element " + std::to_string(values.size()) + " does not fit float32");
    }
    values.push_back(static_cast<float>(value));
  }
  return values;
}

}  // namespace longbow::wire
