// Reading untrusted JSON with simdjson: bounded depth and size, no exceptions.
#pragma once

#include <simdjson.h>

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longbow::wire {

// One parsed object; elements of it are valid as long as it lives.
class JsonObject {
 public:
  // INVALID_ARGUMENT "<what>: ..." unless `text` is one JSON object of at most limits::kTicketSizeMaxBytes.
  static Result<JsonObject> Parse(std::string_view text, std::string_view what);
  simdjson::dom::object root() const { return root_; }

 private:
  std::unique_ptr<simdjson::dom::parser> parser_ = std::make_unique<simdjson::dom::parser>();  // elements point into it
  simdjson::dom::object root_;
};

// The first of these keys that is there and not null.
std::optional<simdjson::dom::element> Member(simdjson::dom::object object, std::initializer_list<std::string_view> keys);

// Values by key; none if absent or null. INVALID_ARGUMENT "'<key>' must be ..." for another type.
Result<std::optional<std::string>> TextMember(simdjson::dom::object object, std::initializer_list<std::string_view> keys);
// Integers, numbers without a fraction, and text that spells an integer.
Result<std::optional<int64_t>> IntegerMember(simdjson::dom::object object, std::initializer_list<std::string_view> keys);
Result<std::optional<double>> NumberMember(simdjson::dom::object object, std::initializer_list<std::string_view> keys);
Result<std::optional<bool>> BoolMember(simdjson::dom::object object, std::initializer_list<std::string_view> keys);

// A scalar as text: strings as they are, numbers in their shortest form, true and false. None for null, lists and objects.
std::optional<std::string> ScalarText(simdjson::dom::element element);
// Numbers as float32; INVALID_ARGUMENT names the place of anything else, and of what does not fit.
Result<std::vector<float>> Floats(simdjson::dom::element element, std::string_view name);

}  // namespace longbow::wire
