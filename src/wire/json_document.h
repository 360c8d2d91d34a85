// One JSON object from outside, parsed whole before anything is read from it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "base/status.h"

namespace longbow::wire {

// Parses `text` and checks that it is an object: size, depth, UTF-8 and every value, known or not, are checked here, so
// that readers may stop at what they know. Of equal keys the last one counts. Errors are INVALID_ARGUMENT, their text
// beginning with `what` ("invalid ticket format").
class JsonDocument {
 public:
  static Result<JsonDocument> Parse(std::string_view text, std::string_view what);

  const simdjson::dom::object& root() const { return root_; }
  const std::string& what() const { return what_; }

 private:
  JsonDocument() = default;

  std::unique_ptr<simdjson::dom::parser> parser_;  // owns what root_ points to, at an address that stays
  simdjson::dom::object root_;
  std::string what_;
};

// Reads members of one object, keeping the first error: reading goes on harmlessly after it, Finish tells.
// Absent and null members leave the target as it is.
class JsonReader {
 public:
  JsonReader(const simdjson::dom::object& object, std::string what) : object_(object), what_(std::move(what)) {}

  std::optional<simdjson::dom::element> Find(std::string_view key) const;

  void Text(std::string_view key, std::string* value);
  // A number or its decimal text.
  void Integer(std::string_view key, int64_t* value);
  void Number(std::string_view key, double* value);
  void Bool(std::string_view key, bool* value);
  // Text, or a whole number as its text: how ids travel.
  void Id(std::string_view key, std::string* value);

  // The name of a dataset, under `key` or else `alias`; too long a one is an error.
  void Name(std::string_view key, std::string_view alias, std::string* value);

  void Fail(const std::string& detail);
  Status Finish() const { return status_; }

 private:
  const simdjson::dom::object object_;
  const std::string what_;
  Status status_;
};

// A scalar as text: strings as they are, numbers in their shortest form that reads back the same, true and false.
std::optional<std::string> ScalarText(const simdjson::dom::element& value);
std::optional<std::string> IdText(const simdjson::dom::element& value);

}  // namespace longbow::wire
