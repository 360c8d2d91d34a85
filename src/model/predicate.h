// A filter as a tree: what the wire parsed, before it is bound to columns.
#pragma once

#include <string>
#include <vector>

namespace longbow {

struct Predicate {
  enum class Op {
    kAnd,
    kOr,
    kNot,  // over children; kAnd without children is true; kNot has one child
    kEq,
    kNe,
    kLt,
    kLe,
    kGt,
    kGe,  // one value
    kIn,
    kNotIn,    // any number of values
    kBetween,  // two values, both ends included
    kContains,
    kPrefix,  // text columns, one value
    kIsNull,
    kIsNotNull,  // no value
  };

  Op op = Op::kAnd;
  std::string field;                // empty for kAnd, kOr, kNot
  std::vector<std::string> values;  // as text; the column's type says how to read them
  std::vector<Predicate> children;

  bool MatchesAll() const { return op == Op::kAnd && children.empty(); }
};

}  // namespace longbow
