// Requests about rows that are there: count, delete, update. As in requests.h: input is untrusted, unknown keys are
// ignored, errors are INVALID_ARGUMENT.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "model/payload.h"
#include "model/predicate.h"

namespace longbow::wire {

// {"dataset" or "name", "filters"}: without filters all rows.
struct CountRequest {
  std::string collection;
  Predicate filter;
};
Result<CountRequest> ParseCount(std::string_view body);

// Rows by id (`id`, `ids`: numbers or strings) or by filter: one of the two, never neither.
struct RowsRequest {
  std::string collection;
  std::vector<std::string> ids;
  Predicate filter;  // if there are no ids
};
// {"dataset", "id", "ids", "filters"}
Result<RowsRequest> ParseDelete(std::string_view body);

// {"dataset", "vector_id": 8}: the ordinal of a row.
struct DeleteVectorRequest {
  std::string collection;
  uint64_t ordinal = 0;
};
Result<DeleteVectorRequest> ParseDeleteVector(std::string_view body);

// The same rows as ParseDelete's, and "set": {"column": scalar or null, ...}.
struct UpdateRequest {
  RowsRequest rows;
  std::vector<PayloadColumn> values;
};
Result<UpdateRequest> ParseUpdate(std::string_view body);

}  // namespace longbow::wire
