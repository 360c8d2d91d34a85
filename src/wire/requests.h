// Longbow's JSON requests (tickets, action bodies, criteria) -> model values. Input is untrusted.
// Unknown keys are ignored, names may be aliases, numbers may come as strings where the contract's clients do so.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/status.h"
#include "model/query.h"

namespace longbow::wire {

// Filters: see filter_json.h. Numbers beyond 64 bits must be sent as strings; of equal keys the last one counts.

// A DoGet ticket: JSON object, or the bare dataset name where the bytes do not start with '{'.
// INVALID_ARGUMENT "invalid ticket format" (+ detail) for bad JSON, wrong types, NaN or infinity in the vector.
// With `search` all other members are ignored. An empty ticket and {} scan the dataset "". limit <= 0: none.
Result<std::variant<ScanRequest, SearchRequest>> ParseTicket(std::string_view ticket);

// The body of VectorSearch (one `search` object, plus `vectors` for a batch). INVALID_ARGUMENT "invalid search request:
// ...". alpha without value: 1 (dense), with a text_query 0.5.
Result<SearchRequest> ParseSearch(std::string_view body);

// The share of the vectors in a search that names none: all of it, with words beside them half.
double DefaultAlpha(std::string_view text_query);

struct SearchByIdRequest {
  std::string collection;
  std::string id;  // number or string on the wire
  int64_t k = 10;
  bool include_vectors = false;
  Predicate filter;
};
Result<SearchByIdRequest> ParseSearchById(std::string_view body);

// {"dataset", "ttl_seconds", "expires_at"}: the last may be missing. Whether the number makes sense is the store's
// matter.
struct SetTtlRequest {
  std::string collection;
  int64_t ttl_seconds = 0;
  std::optional<std::string> expiry_column;
};
Result<SetTtlRequest> ParseSetTtl(std::string_view body);

// {"target", "dataset" or "collection", "id"}: each may be missing. Empty body = all empty.
struct SnapshotRequest {
  std::string target;
  std::string dataset;
  std::string id;
};
Result<SnapshotRequest> ParseSnapshot(std::string_view body);

// {"id": s}
struct JobRequest {
  std::string id;
};
Result<JobRequest> ParseJob(std::string_view body);

// {"dataset": s} or {"name": s}; both may be given, either may be empty. Empty body = both empty.
struct NameRequest {
  std::string dataset;
  std::string name;
};
Result<NameRequest> ParseName(std::string_view body);

// Criteria of ListFlights: filters on `name` (=, !=, contains, prefix) and `rows` (comparisons). Empty = everything.
// INVALID_ARGUMENT "Invalid criteria: ..." for anything that is not a JSON object.
struct Criteria {
  Predicate filter;
  bool Matches(std::string_view name, uint64_t rows) const;
};
Result<Criteria> ParseCriteria(std::string_view expression);

}  // namespace longbow::wire
