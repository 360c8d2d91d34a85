// How large the answer to a search can get.
#pragma once

#include <cstdint>

#include "base/status.h"
#include "engine/collection.h"
#include "model/query.h"

namespace longbow::node {

// RESOURCE_EXHAUSTED if the answer would take more than `most_bytes` (0: any): queries times hits times the bytes of a
// hit. A request of a few bytes can ask for terabytes; this says so before anything is searched.
Status CheckAnswerSize(const engine::Collection& collection, const SearchRequest& request, uint64_t most_bytes);

}  // namespace longbow::node
