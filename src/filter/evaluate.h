// Predicate -> bitmap, by evaluating over Arrow columns.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "model/predicate.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::filter {

class IndexAnswers;

// A predicate whose columns are found and whose values are parsed. Immutable, thread safe, cheap to copy.
// Three-valued logic as in SQL: a comparison with null is neither true nor false, NOT of it neither; only true passes.
class BoundPredicate {
 public:
  // INVALID_ARGUMENT: unknown column, a value that the column's type cannot read (`invalid int64 value "10,20" for
  // field i64`), an operator that the type does not have, too deep or too many nodes (base/limits.h).
  static Result<BoundPredicate> Bind(const Predicate& predicate, const arrow::Schema& schema);

  bool MatchesAll() const;

  // For each row i of `rows` sets bit (first_bit + i) of `bits` to whether it passes; other bits stay. Columns are
  // looked up by name: one that `rows` lacks (it is older than the column) counts as null. With `answers` of this
  // predicate, materialised, row i is row (first_bit + i) of the segment, and conditions that they cover for all of
  // `rows` are taken from there: the result is the same.
  void Evaluate(const arrow::RecordBatch& rows, uint64_t* bits, uint64_t first_bit,
                const IndexAnswers* answers = nullptr) const;

  struct Node;  // filter_node.h
  const Node& root() const { return *root_; }

 private:
  explicit BoundPredicate(std::shared_ptr<const Node> root);
  std::shared_ptr<const Node> root_;
};

}  // namespace longbow::filter
