// A bound predicate as a tree, inside this folder only.
#pragma once

#include <arrow/type_fwd.h>

#include <memory>
#include <vector>

#include "filter/comparison.h"
#include "filter/evaluate.h"

namespace longbow::filter {

// NOT is pushed down to the leaves when binding, so a node only has to say which rows are true: a leaf is true where
// its column is valid and the comparison (negated: its opposite) holds.
struct FilterNode {
  enum class Kind { kAnd, kOr, kLeaf };
  Kind kind = Kind::kAnd;
  std::vector<FilterNode> children;

  // A leaf:
  bool negated = false;
  Comparison comparison;
  std::shared_ptr<arrow::DataType> type;           // of the values: dictionaries and extensions unwrapped
  std::shared_ptr<const CompiledComparison> test;  // null for kIsNull
};

struct BoundPredicate::Node : FilterNode {};

}  // namespace longbow::filter
