#include "filter/comparison.h"

#include <arrow/type.h>
#include <arrow/type_traits.h>

#include "filter/number_comparison.h"
#include "filter/text_comparison.h"
#include "model/type_name.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;

enum class Kind { kNumber, kText, kOther };

Kind KindOf(arrow::Type::type type) {
  using arrow::Type;
  if (arrow::is_integer(type) || arrow::is_floating(type) || arrow::is_decimal(type) || arrow::is_date(type) ||
      arrow::is_time(type) || type == Type::BOOL || type == Type::TIMESTAMP || type == Type::DURATION) {
    return Kind::kNumber;
  }
  if (arrow::is_base_binary_like(type) || arrow::is_binary_view_like(type) || type == Type::FIXED_SIZE_BINARY) {
    return Kind::kText;
  }
  return Kind::kOther;
}

Status CheckValueCount(const Comparison& comparison) {
  if (comparison.op == Op::kIn) {
    return {};
  }
  const size_t expected = comparison.op == Op::kBetween ? 2 : 1;
  if (comparison.values.size() == expected) {
    return {};
  }
  return InvalidArgument("operator " + OperatorName(comparison.op) + " needs " + std::to_string(expected) + " value" +
                         (expected == 1 ? "" : "s") + ", got " + std::to_string(comparison.values.size()) +
                         " for field " + comparison.field);
}

}  // namespace

std::string OperatorName(Predicate::Op op) {
  switch (op) {
    case Op::kAnd:
      return "and";
    case Op::kOr:
      return "or";
    case Op::kNot:
      return "not";
    case Op::kEq:
      return "=";
    case Op::kNe:
      return "!=";
    case Op::kLt:
      return "<";
    case Op::kLe:
      return "<=";
    case Op::kGt:
      return ">";
    case Op::kGe:
      return ">=";
    case Op::kIn:
      return "in";
    case Op::kNotIn:
      return "not in";
    case Op::kBetween:
      return "between";
    case Op::kContains:
      return "contains";
    case Op::kPrefix:
      return "prefix";
    case Op::kIsNull:
      return "is null";
    case Op::kIsNotNull:
      break;
  }
  return "is not null";
}

Result<std::shared_ptr<const CompiledComparison>> CompileComparison(const Comparison& comparison,
                                                                    const arrow::DataType& type) {
  LB_TRY(CheckValueCount(comparison));
  const Kind kind = KindOf(type.id());
  if (kind == Kind::kText) {
    return CompileText(comparison, type);
  }
  if (kind == Kind::kNumber && comparison.op != Op::kContains && comparison.op != Op::kPrefix) {
    return CompileNumbers(comparison, type);
  }
  return InvalidArgument("operator " + OperatorName(comparison.op) + " does not apply to field " + comparison.field +
                         " of type " + TypeName(type));
}

}  // namespace longbow::filter
