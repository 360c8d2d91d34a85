// Criteria of ListFlights: a filter over what a listing knows of a dataset, its name and its rows.
#include <algorithm>
#include <charconv>
#include <optional>

#include "wire/filter_json.h"
#include "wire/json_document.h"
#include "wire/requests.h"

namespace longbow::wire {
namespace {

using Op = Predicate::Op;

constexpr char kCriteria[] = "Invalid criteria";

std::optional<double> RowsValue(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(value) : std::nullopt;
}

Status CheckCondition(const Predicate& condition) {
  const Op op = condition.op;
  const bool is_name = condition.field == "name";
  const bool text = op == Op::kContains || op == Op::kPrefix;
  const bool set = op == Op::kIn || op == Op::kNotIn;
  const size_t expected = op == Op::kBetween ? 2 : 1;
  if (op == Op::kIsNull || op == Op::kIsNotNull || (text && !is_name)) {
    return InvalidArgument(std::string(kCriteria) + ": this operator does not apply to " + condition.field);
  }
  if (!set && condition.values.size() != expected) {
    return InvalidArgument(std::string(kCriteria) + ": the filter on " + condition.field + " needs " +
                           std::to_string(expected) + " value(s), got " + std::to_string(condition.values.size()));
  }
  for (const std::string& value : condition.values) {
    if (!is_name && !RowsValue(value)) {
      return InvalidArgument(std::string(kCriteria) + ": invalid number \"" + value + "\" for rows");
    }
  }
  return {};
}

// Keeps what concerns name and rows; filters on anything else are ignored, as they always were. False: nothing is left.
Result<bool> Prune(Predicate* predicate) {
  if (predicate->op == Op::kAnd || predicate->op == Op::kOr || predicate->op == Op::kNot) {
    std::vector<Predicate> kept;
    for (Predicate& child : predicate->children) {
      LB_ASSIGN(const bool keep, Prune(&child));
      if (keep) {
        kept.push_back(std::move(child));
      }
    }
    predicate->children = std::move(kept);
    return !predicate->children.empty();
  }
  if (predicate->field != "name" && predicate->field != "rows") {
    return false;
  }
  LB_TRY(CheckCondition(*predicate));
  return true;
}

template <typename T>
bool Compare(Op op, const T& actual, const std::vector<T>& values) {
  switch (op) {
    case Op::kEq:
      return actual == values[0];
    case Op::kNe:
      return actual != values[0];
    case Op::kLt:
      return actual < values[0];
    case Op::kLe:
      return actual <= values[0];
    case Op::kGt:
      return actual > values[0];
    case Op::kGe:
      return actual >= values[0];
    case Op::kBetween:
      return actual >= values[0] && actual <= values[1];
    case Op::kIn:
      return std::find(values.begin(), values.end(), actual) != values.end();
    case Op::kNotIn:
      return std::find(values.begin(), values.end(), actual) == values.end();
    default:
      return false;
  }
}

bool Holds(const Predicate& predicate, std::string_view name, uint64_t rows) {
  const auto holds = [&](const Predicate& child) { return Holds(child, name, rows); };
  switch (predicate.op) {
    case Op::kAnd:
      return std::all_of(predicate.children.begin(), predicate.children.end(), holds);
    case Op::kOr:
      return std::any_of(predicate.children.begin(), predicate.children.end(), holds);
    case Op::kNot:
      return !holds(predicate.children.front());
    case Op::kContains:
      return name.find(predicate.values.front()) != std::string_view::npos;
    case Op::kPrefix:
      return name.starts_with(predicate.values.front());
    default:
      break;
  }
  if (predicate.field == "name") {
    return Compare(predicate.op, std::string(name), predicate.values);
  }
  std::vector<double> values;
  for (const std::string& value : predicate.values) {
    values.push_back(RowsValue(value).value_or(0));
  }
  return Compare(predicate.op, static_cast<double>(rows), values);
}

}  // namespace

Result<Criteria> ParseCriteria(std::string_view expression) {
  Criteria criteria;
  const size_t first = expression.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) {
    return criteria;
  }
  if (expression[first] != '{') {
    return InvalidArgument(std::string(kCriteria) + ": expected opening brace");
  }
  LB_ASSIGN(const JsonDocument document, JsonDocument::Parse(expression, kCriteria));
  LB_ASSIGN(criteria.filter, ParseFilters(document.root(), kCriteria));
  LB_ASSIGN(const bool left, Prune(&criteria.filter));
  if (!left) {
    criteria.filter = Predicate();
  }
  return criteria;
}

bool Criteria::Matches(std::string_view name, uint64_t rows) const { return Holds(filter, name, rows); }

}  // namespace longbow::wire
