// Gives columns back the exact Arrow type that Parquet knows only a relative of.
#pragma once

#include <arrow/result.h>
#include <arrow/type_fwd.h>

#include <memory>

namespace longbow::storage {

// `array` with type `target`, values unchanged. For what Parquet returns after `target` was written: another time unit
// (it has no seconds), days for date64, plain values for a dictionary, other names of list elements, storage types for
// extension types. An error for pairs that are no such relatives.
arrow::Result<std::shared_ptr<arrow::Array>> RestoreType(const std::shared_ptr<arrow::Array>& array,
                                                         const std::shared_ptr<arrow::DataType>& target);

}  // namespace longbow::storage
