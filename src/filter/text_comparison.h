// Comparisons of text and binary columns, byte by byte.
#pragma once

#include "filter/comparison.h"

namespace longbow::filter {

// For utf8, binary, their large and view forms, and fixed_size_binary. Operators: comparisons, in, between, contains,
// prefix.
Result<std::shared_ptr<const CompiledComparison>> CompileText(const Comparison& comparison,
                                                              const arrow::DataType& type);

}  // namespace longbow::filter
