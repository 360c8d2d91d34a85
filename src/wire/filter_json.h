// Filters as requests write them.
#pragma once

#include <string>
#include <string_view>

#include <simdjson.h>

#include "base/status.h"
#include "model/predicate.h"

namespace longbow::wire {

// The filters of a request: member `filters` (or `filter`), an array (all must hold) or one filter. A filter is
//   {"field": s, "operator" | "op": s, "value": scalar | array, "values": array}   or
//   {"logic": "AND" | "OR" | "NOT", "filters": [...]}      NOT of several: not all of them hold
// Operator names in any case. No such member, null or {}: everything matches. Errors begin with `what`.
Result<Predicate> ParseFilters(const simdjson::dom::object& request, const std::string& what);
// The same, of the member's value alone; empty: everything matches.
Result<Predicate> ParseFilterText(std::string_view json, const std::string& what);

}  // namespace longbow::wire
