// Comparisons of columns whose rows are numbers in memory: integers, floats, dates, times, decimals, booleans.
#pragma once

#include "filter/comparison.h"

namespace longbow::filter {

// Operators: comparisons, in, between.
Result<std::shared_ptr<const CompiledComparison>> CompileNumbers(const Comparison& comparison,
                                                                 const arrow::DataType& type);

}  // namespace longbow::filter
