// The messages of our own search service (proto/search.proto) <-> model values. Input is untrusted.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "model/explanation.h"
#include "model/query.h"

namespace arrow {
class RecordBatch;
}
namespace longbow::v1 {
class Hits;
class SearchRequest;
}  // namespace longbow::v1

namespace longbow::wire {

// INVALID_ARGUMENT "invalid search request: ..." for sizes that do not add up and for what Flight's JSON refuses too.
Result<SearchRequest> ToSearchRequest(const v1::SearchRequest& message);

// The answer to one query vector. `vectors` as HitBatch takes them; `columns` may be null. INTERNAL if Arrow cannot
// write the columns.
Status WriteHits(const std::vector<Hit>& hits, std::vector<std::string> vectors, const arrow::RecordBatch* columns,
                 v1::Hits* message);

}  // namespace longbow::wire
