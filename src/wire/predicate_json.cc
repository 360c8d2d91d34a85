#include "wire/predicate_json.h"

#include <algorithm>
#include <cctype>

#include "base/limits.h"
#include "wire/json.h"

namespace longbow::wire {
namespace {

namespace dom = simdjson::dom;
using Op = Predicate::Op;

struct Operator {
  std::string_view name;
  Op op;
};

constexpr Operator kOperators[] = {
    {"=", Op::kEq},           {"==", Op::kEq},          {"eq", Op::kEq},           {"!=", Op::kNe},
    {"<>", Op::kNe},          {"ne", Op::kNe},          {"neq", Op::kNe},          {">", Op::kGt},
    {"gt", Op::kGt},          {">=", Op::kGe},          {"ge", Op::kGe},           {"gte", Op::kGe},
    {"<", Op::kLt},           {"lt", Op::kLt},          {"<=", Op::kLe},           {"le", Op::kLe},
    {"lte", Op::kLe},         {"in", Op::kIn},          {"not_in", Op::kNotIn},    {"not in", Op::kNotIn},
    {"nin", Op::kNotIn},      {"between", Op::kBetween}, {"contains", Op::kContains}, {"prefix", Op::kPrefix},
    {"starts_with", Op::kPrefix}, {"startswith", Op::kPrefix}, {"is_null", Op::kIsNull}, {"is null", Op::kIsNull},
    {"is_not_null", Op::kIsNotNull}, {"is not null", Op::kIsNotNull},
};

std::string Lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// Parses one request's filter; counts nodes so that a small text cannot ask for endless work.
class FilterParser {
 public:
  Result<Predicate> All(dom::element element, size_t depth) {
    dom::array list;
    if (element.get(list) != simdjson::SUCCESS) {
      return One(element, depth);
    }
    Predicate all;
    for (const dom::element item : list) {
      LB_ASSIGN(Predicate child, One(item, depth + 1));
      all.children.push_back(std::move(child));
    }
    return all;
  }

 private:
  Result<Predicate> One(dom::element element, size_t depth) {
    if (depth > limits::kFilterDepthMax || ++nodes_ > limits::kFilterNodesMax) {
      return InvalidArgument("the filter is too large: at most " + std::to_string(limits::kFilterDepthMax) + " levels and " +
                             std::to_string(limits::kFilterNodesMax) + " parts are allowed");
    }
    dom::object object;
    if (element.get(object) != simdjson::SUCCESS) {
      return InvalidArgument("a filter must be an object with field, operator and value");
    }
    if (const auto children = Member(object, {"filters"})) {
      return Group(object, *children, depth);
    }
    return Comparison(object);
  }

  Result<Predicate> Group(dom::object object, dom::element children, size_t depth) {
    LB_ASSIGN(const std::optional<std::string> logic, TextMember(object, {"logic"}));
    const std::string kind = Lower(logic.value_or("and"));
    if (!children.is_array()) {
      return InvalidArgument("'filters' of a group must be a list");
    }
    LB_ASSIGN(Predicate all, All(children, depth));
    if (kind == "and" || kind.empty()) {
      return all;
    }
    if (kind == "or") {
      all.op = Op::kOr;
      return all;
    }
    if (kind == "not") {
      Predicate negated;
      negated.op = Op::kNot;
      negated.children.push_back(std::move(all));
      return negated;
    }
    return InvalidArgument("unknown filter logic '" + *logic + "': expected AND, OR or NOT");
  }

  Result<Predicate> Comparison(dom::object object) {
    LB_ASSIGN(const std::optional<std::string> field, TextMember(object, {"field"}));
    LB_ASSIGN(const std::optional<std::string> name, TextMember(object, {"operator", "op"}));
    if (!field || field->empty()) {
      return InvalidArgument("a filter has no field");
    }
    const std::string wanted = Lower(name.value_or("="));
    const auto* known = std::find_if(std::begin(kOperators), std::end(kOperators), [&](const Operator& one) { return one.name == wanted; });
    if (known == std::end(kOperators)) {
      return InvalidArgument("unknown filter operator '" + *name +
                             "': expected =, !=, <, <=, >, >=, in, not_in, between, contains, prefix, is_null or is_not_null");
    }
    Predicate predicate;
    predicate.op = known->op;
    predicate.field = *field;
    LB_TRY(ReadValues(object, &predicate));
    return predicate;
  }

  Status ReadValues(dom::object object, Predicate* predicate) {
    if (predicate->op == Op::kIsNull || predicate->op == Op::kIsNotNull) {
      return {};
    }
    const auto value = Member(object, {"value", "values"});
    if (!value) {
      return InvalidArgument("the filter on '" + predicate->field + "' has no value; to find nulls use is_null");
    }
    if (dom::array list; value->get(list) == simdjson::SUCCESS) {
      for (const dom::element item : list) {
        LB_TRY(AddValue(item, predicate));
      }
    } else {
      LB_TRY(AddValue(*value, predicate));
    }
    const bool is_set = predicate->op == Op::kIn || predicate->op == Op::kNotIn;
    const size_t count = predicate->op == Op::kBetween ? 2 : 1;
    if (!is_set && predicate->values.size() != count) {
      return InvalidArgument("the filter on '" + predicate->field + "' needs " + std::to_string(count) + " value(s), got " +
                             std::to_string(predicate->values.size()));
    }
    return {};
  }

  Status AddValue(dom::element item, Predicate* predicate) {
    std::optional<std::string> text = ScalarText(item);
    if (!text) {
      return InvalidArgument("the filter on '" + predicate->field + "' has a value that is neither text, number, true nor false");
    }
    if (predicate->values.size() == limits::kIdsPerRequestMax) {
      return InvalidArgument("the filter on '" + predicate->field + "' has more than " + std::to_string(limits::kIdsPerRequestMax) + " values");
    }
    predicate->values.push_back(std::move(*text));
    return {};
  }

  size_t nodes_ = 0;
};

}  // namespace

Result<Predicate> FilterMember(dom::object request) {
  const auto element = Member(request, {"filters", "filter"});
  if (!element) {
    return Predicate();
  }
  return FilterParser().All(*element, 0);
}

}  // namespace longbow::wire
