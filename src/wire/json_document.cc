#include "wire/json_document.h"

#include <algorithm>
#include <charconv>

#include "base/limits.h"

namespace longbow::wire {
namespace {

std::string NumberText(auto number) {
  char text[32];
  const auto end = std::to_chars(text, text + sizeof(text), number).ptr;
  return {text, end};
}

}  // namespace

Result<JsonDocument> JsonDocument::Parse(std::string_view text, std::string_view what) {
  const auto invalid = [&](const std::string& detail) { return InvalidArgument(std::string(what) + ": " + detail); };
  if (text.size() > limits::kTicketSizeMaxBytes) {
    return invalid("at most " + std::to_string(limits::kTicketSizeMaxBytes) + " bytes allowed, got " +
                   std::to_string(text.size()));
  }
  if (text.empty()) {
    text = "";  // simdjson copies from it, and nothing may come from null
  }
  JsonDocument document;
  document.what_ = what;
  document.parser_ = std::make_unique<simdjson::dom::parser>();
  simdjson::error_code error = document.parser_->allocate(
      std::max<size_t>(text.size(), simdjson::dom::MINIMAL_DOCUMENT_CAPACITY), limits::kJsonDepthMax);
  simdjson::dom::element root;
  if (error == simdjson::SUCCESS) {
    error = document.parser_->parse(text.data(), text.size()).get(root);
  }
  if (error == simdjson::NUMBER_ERROR) {
    return invalid("a number is malformed or out of range; numbers beyond 64 bits may be sent as strings");
  }
  if (error != simdjson::SUCCESS) {
    return invalid(simdjson::error_message(error));
  }
  if (root.get_object().get(document.root_) != simdjson::SUCCESS) {
    return invalid("a JSON object is expected");
  }
  return document;
}

std::optional<simdjson::dom::element> JsonReader::Find(std::string_view key) const {
  std::optional<simdjson::dom::element> found;
  for (const auto& [name, value] : object_) {
    if (name == key) {
      found = value;
    }
  }
  return found && found->is_null() ? std::nullopt : found;
}

void JsonReader::Fail(const std::string& detail) {
  if (status_.ok()) {
    status_ = InvalidArgument(what_ + ": " + detail);
  }
}

void JsonReader::Text(std::string_view key, std::string* value) {
  const auto found = Find(key);
  std::string_view text;
  if (!found) {
    return;
  }
  if (found->get_string().get(text) != simdjson::SUCCESS) {
    return Fail("\"" + std::string(key) + "\" must be a string");
  }
  *value = text;
}

void JsonReader::Integer(std::string_view key, int64_t* value) {
  const auto found = Find(key);
  if (!found || found->get_int64().get(*value) == simdjson::SUCCESS) {
    return;
  }
  double number = 0;
  if (found->is_double() && found->get_double().get(number) == simdjson::SUCCESS && number >= -0x1p53 &&
      number <= 0x1p53 && number == static_cast<double>(static_cast<int64_t>(number))) {
    *value = static_cast<int64_t>(number);  // 10.0
    return;
  }
  std::string_view text;
  if (found->get_string().get(text) == simdjson::SUCCESS && !text.empty()) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *value);
    if (error == std::errc() && end == text.data() + text.size()) {
      return;
    }
  }
  Fail("\"" + std::string(key) + "\" must be an integer of 64 bits");
}

void JsonReader::Number(std::string_view key, double* value) {
  const auto found = Find(key);
  if (found && found->get_double().get(*value) != simdjson::SUCCESS) {
    Fail("\"" + std::string(key) + "\" must be a number");
  }
}

void JsonReader::Bool(std::string_view key, bool* value) {
  const auto found = Find(key);
  if (found && found->get_bool().get(*value) != simdjson::SUCCESS) {
    Fail("\"" + std::string(key) + "\" must be true or false");
  }
}

void JsonReader::Id(std::string_view key, std::string* value) {
  const auto found = Find(key);
  if (!found) {
    return;
  }
  if (const auto text = IdText(*found)) {
    *value = *text;
  } else {
    Fail("\"" + std::string(key) + "\" must be a string or a whole number");
  }
}

void JsonReader::Name(std::string_view key, std::string_view alias, std::string* value) {
  Text(alias, value);
  Text(key, value);
  if (value->size() > limits::kNameSizeMaxBytes) {
    Fail("\"" + std::string(key) + "\" is too long: at most " + std::to_string(limits::kNameSizeMaxBytes) +
         " bytes allowed, got " + std::to_string(value->size()));
  }
}

std::optional<std::string> IdText(const simdjson::dom::element& value) {
  return value.is_string() || value.is_int64() || value.is_uint64() ? ScalarText(value) : std::nullopt;
}

std::optional<std::string> ScalarText(const simdjson::dom::element& value) {
  switch (value.type()) {
    case simdjson::dom::element_type::STRING:
      return std::string(value.get_string().value_unsafe());
    case simdjson::dom::element_type::INT64:
      return NumberText(value.get_int64().value_unsafe());
    case simdjson::dom::element_type::UINT64:
      return NumberText(value.get_uint64().value_unsafe());
    case simdjson::dom::element_type::DOUBLE:
      return NumberText(value.get_double().value_unsafe());
    case simdjson::dom::element_type::BOOL:
      return std::string(value.get_bool().value_unsafe() ? "true" : "false");
    default:
      return std::nullopt;
  }
}

}  // namespace longbow::wire
