// Filters of tickets and action bodies -> Predicate.
#pragma once

#include <simdjson.h>

#include "base/status.h"
#include "model/predicate.h"

namespace longbow::wire {

// The member `filters` (or `filter`) of a request: a list, all of which must hold, or one object. Each object is a
// comparison {"field", "operator"|"op", "value"|"values"} or a group {"logic": "AND"|"OR"|"NOT", "filters": [...]}.
// NOT holds if its filters do not all hold. Absent or null: everything matches.
// INVALID_ARGUMENT for unknown operators (the message lists the known), missing fields or values, too deep or too many.
Result<Predicate> FilterMember(simdjson::dom::object request);

}  // namespace longbow::wire
