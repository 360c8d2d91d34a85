// Columns of rows that were found.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/view.h"

namespace arrow {
class RecordBatch;
}

namespace longbow::engine {

// The fields that `names` mean in a schema, in that order: "*" all but the vector column; each once. INVALID_ARGUMENT
// for a column that is not there, with those that are.
Result<std::vector<int>> FieldsOf(const CollectionSchema& schema, const std::vector<std::string>& names);

// [ordinals.size()] rows of those fields, in the order of `ordinals`, which are rows of the view. Copies. Errors:
// RESOURCE_EXHAUSTED.
Result<std::shared_ptr<arrow::RecordBatch>> FetchFields(const View& view, const std::vector<int>& fields,
                                                        const std::vector<uint64_t>& ordinals);

}  // namespace longbow::engine
