// The binary search request of DoExchange: rows of an Arrow batch -> search requests.
#pragma once

#include <vector>

#include "base/status.h"
#include "model/query.h"

namespace arrow {
class RecordBatch;
}

namespace longbow::node {

// One request for each row, each `defaults` but for what the row says. Columns: `query_vector` (FixedSizeList or List
// of any numbers) required, `dataset` utf8 as well unless `defaults` name one; `k` and `ef` integers of any width and
// `recall_target` a float of any width, optional; an ef or target of 0 is none. INVALID_ARGUMENT, naming the column,
// for anything else, also for nulls.
Result<std::vector<SearchRequest>> QueriesOf(const arrow::RecordBatch& rows, const SearchRequest& defaults);

}  // namespace longbow::node
