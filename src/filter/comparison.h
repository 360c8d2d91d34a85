// One comparison of a column with constants, compiled for the column's type.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/predicate.h"

namespace arrow {
struct ArrayData;
class DataType;
}  // namespace arrow

namespace longbow::filter {

// Immutable and thread safe.
class CompiledComparison {
 public:
  virtual ~CompiledComparison() = default;
  // out[0, ceil(count / 64)) = whether rows [begin, begin + count) of `column` pass, as bits; bits past `count` are 0
  // or 1. Rows are counted from the column's own offset. Validity is ignored: a null row gets either bit.
  virtual void Words(const arrow::ArrayData& column, int64_t begin, int64_t count, uint64_t* out) const = 0;
};

// What a predicate asks of one column. The operators that are negations (kNe, kNotIn) are not among `op`.
struct Comparison {
  Predicate::Op op = Predicate::Op::kEq;
  std::string field;
  std::vector<std::string> values;
};

// INVALID_ARGUMENT: the type does not have the operator, a value is not of the type, the wrong number of values.
// Dictionary and extension types are the caller's to unwrap.
Result<std::shared_ptr<const CompiledComparison>> CompileComparison(const Comparison& comparison,
                                                                    const arrow::DataType& type);

// "=", "between", ...: as requests write it.
std::string OperatorName(Predicate::Op op);

}  // namespace longbow::filter
