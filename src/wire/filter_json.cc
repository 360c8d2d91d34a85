#include "wire/filter_json.h"

#include <algorithm>
#include <array>
#include <optional>
#include <string_view>

#include "base/limits.h"
#include "wire/json_document.h"

namespace longbow::wire {
namespace {

using Op = Predicate::Op;
using Element = simdjson::dom::element;

struct OperatorName {
  std::string_view name;
  Op op;
};
constexpr std::array kOperators = std::to_array<OperatorName>({
    {"=", Op::kEq},
    {"==", Op::kEq},
    {"eq", Op::kEq},
    {"!=", Op::kNe},
    {"<>", Op::kNe},
    {"neq", Op::kNe},
    {"ne", Op::kNe},
    {">", Op::kGt},
    {"gt", Op::kGt},
    {">=", Op::kGe},
    {"ge", Op::kGe},
    {"gte", Op::kGe},
    {"<", Op::kLt},
    {"lt", Op::kLt},
    {"<=", Op::kLe},
    {"le", Op::kLe},
    {"lte", Op::kLe},
    {"in", Op::kIn},
    {"not in", Op::kNotIn},
    {"not_in", Op::kNotIn},
    {"nin", Op::kNotIn},
    {"contains", Op::kContains},
    {"prefix", Op::kPrefix},
    {"starts_with", Op::kPrefix},
    {"between", Op::kBetween},
    {"is null", Op::kIsNull},
    {"is_null", Op::kIsNull},
    {"is not null", Op::kIsNotNull},
    {"is_not_null", Op::kIsNotNull},
});

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return lower;
}

class FilterParser {
 public:
  explicit FilterParser(const std::string& what) : what_(what) {}

  // An array: all must hold; an object: one filter.
  Result<Predicate> Any(const Element& element, size_t depth) {
    simdjson::dom::array array;
    simdjson::dom::object object;
    if (element.get_array().get(array) == simdjson::SUCCESS) {
      return All(array, Op::kAnd, depth);
    }
    if (element.get_object().get(object) == simdjson::SUCCESS) {
      return object.size() == 0 && depth == 1 ? Predicate() : One(object, depth);
    }
    return Invalid("filters must be an array of objects");
  }

 private:
  Status Invalid(const std::string& detail) const { return InvalidArgument(what_ + ": " + detail); }

  Result<Predicate> All(const simdjson::dom::array& array, Op op, size_t depth) {
    Predicate group;
    group.op = op;
    for (const Element& element : array) {
      simdjson::dom::object object;
      if (element.get_object().get(object) != simdjson::SUCCESS) {
        return Invalid("a filter must be an object");
      }
      LB_ASSIGN(Predicate child, One(object, depth + 1));
      group.children.push_back(std::move(child));
    }
    return group;
  }

  Result<Predicate> One(const simdjson::dom::object& object, size_t depth) {
    if (depth > limits::kFilterDepthMax) {
      return Invalid("the filter is too deep: at most " + std::to_string(limits::kFilterDepthMax) + " levels allowed");
    }
    if (++nodes_ > limits::kFilterNodesMax) {
      return Invalid("the filter is too large: at most " + std::to_string(limits::kFilterNodesMax) +
                     " conditions allowed");
    }
    JsonReader reader(object, what_);
    std::string field;
    reader.Text("field", &field);
    LB_TRY(reader.Finish());
    simdjson::dom::array children;
    const auto nested = reader.Find("filters");
    if (nested && nested->get_array().get(children) != simdjson::SUCCESS) {
      return Invalid("\"filters\" of a filter must be an array");
    }
    // Some clients send every member, empty where it does not apply.
    const bool group = nested && children.size() > 0;
    if (group && !field.empty()) {
      return Invalid("a filter has either a field or filters, not both");
    }
    if (group || (nested && field.empty())) {
      return Group(reader, children, depth);
    }
    return Condition(reader, std::move(field));
  }

  Result<Predicate> Group(JsonReader& reader, const simdjson::dom::array& children, size_t depth) {
    std::string logic;
    reader.Text("logic", &logic);
    LB_TRY(reader.Finish());
    const std::string lower = Lower(logic);
    if (lower == "not") {
      LB_ASSIGN(Predicate inner, All(children, Op::kAnd, depth));
      Predicate negation;
      negation.op = Op::kNot;
      negation.children.push_back(inner.children.size() == 1 ? std::move(inner.children.front()) : std::move(inner));
      return negation;
    }
    if (!lower.empty() && lower != "and" && lower != "or") {
      return Invalid("unknown filter logic \"" + logic + "\": use AND, OR or NOT");
    }
    return All(children, lower == "or" ? Op::kOr : Op::kAnd, depth);
  }

  Result<Predicate> Condition(JsonReader& reader, std::string field) {
    if (field.empty()) {
      return Invalid("a filter without field");
    }
    std::string name;
    reader.Text("op", &name);
    reader.Text("operator", &name);
    LB_TRY(reader.Finish());
    LB_ASSIGN(const Op op, OperatorOf(name, field));
    Predicate condition;
    condition.op = op;
    condition.field = std::move(field);
    for (const char* key : {"value", "values"}) {
      if (const auto value = reader.Find(key)) {
        LB_TRY(AppendValues(*value, &condition));
      }
    }
    if (op == Op::kIsNull || op == Op::kIsNotNull) {
      condition.values.clear();  // clients that always send a value send an empty one
    }
    return condition;
  }

  Status AppendValues(const Element& value, Predicate* condition) const {
    simdjson::dom::array array;
    if (value.get_array().get(array) != simdjson::SUCCESS) {
      return AppendValue(value, condition);
    }
    for (const Element& element : array) {
      LB_TRY(AppendValue(element, condition));
    }
    return {};
  }

  Status AppendValue(const Element& value, Predicate* condition) const {
    std::optional<std::string> text = ScalarText(value);
    if (!text) {
      return Invalid("the value of the filter on field " + condition->field +
                     " must be a string, a number, a boolean or an array of them; for null use is_null");
    }
    condition->values.push_back(std::move(*text));
    return {};
  }

  Result<Op> OperatorOf(const std::string& name, const std::string& field) const {
    const std::string lower = Lower(name);
    for (const OperatorName& known : kOperators) {
      if (known.name == lower) {
        return known.op;
      }
    }
    return Invalid("unknown operator \"" + name + "\" in the filter on field " + field +
                   ": use =, !=, <, <=, >, >=, in, not in, between, contains, prefix, is null or is not null");
  }

  const std::string& what_;
  size_t nodes_ = 0;
};

}  // namespace

Result<Predicate> ParseFilters(const simdjson::dom::object& request, const std::string& what) {
  const JsonReader reader(request, what);
  for (const char* key : {"filters", "filter"}) {
    if (const auto filters = reader.Find(key)) {
      return FilterParser(what).Any(*filters, 1);
    }
  }
  return Predicate();
}

Result<Predicate> ParseFilterText(std::string_view json, const std::string& what) {
  if (json.empty()) {
    return Predicate();
  }
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse("{\"filters\":" + std::string(json) + "}", what));
  if (document.root().size() != 1) {  // text that closes the member and goes on
    return InvalidArgument(what + ": the filter is not one JSON value");
  }
  return ParseFilters(document.root(), what);
}

}  // namespace longbow::wire
