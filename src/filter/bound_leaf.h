// One condition of a predicate on one batch.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "filter/filter_node.h"

namespace longbow::filter {

// A leaf on one batch: the column's memory, and for a dictionary the answer for each of its values.
struct BoundLeaf {
  std::shared_ptr<const arrow::ArrayData> column;  // null: the batch lacks the column, every row is null
  std::shared_ptr<const CompiledComparison> test;  // null: no row passes but as null
  std::vector<uint64_t> dictionary_passes;
};

// `column`: the batch's, null where it lacks the column.
BoundLeaf BindToColumn(const FilterNode& node, const std::shared_ptr<arrow::ArrayData>& column);
// out[0, ceil(count / 64)) = whether rows [begin, begin + count) pass, nulls considered; bits past `count` are
// anything.
void FillLeaf(const FilterNode& node, const BoundLeaf& leaf, int64_t begin, int64_t count, uint64_t* out);

}  // namespace longbow::filter
