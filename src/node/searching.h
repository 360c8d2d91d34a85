// The search of every door of the node, measured.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/search.h"
#include "node/services.h"

namespace arrow {
class Schema;
}

namespace longbow::node {

Result<std::vector<engine::QueryResult>> Search(Services& services, const SearchRequest& request,
                                                const Cancellation* cancellation);

// Of those results that have one.
std::vector<const SearchExplanation*> ExplanationsOf(std::span<const engine::QueryResult> results);

// What an answer says beside its rows, as JSON: see wire::PageJson. Empty if nothing was asked for that needs it.
std::string PageMetadata(const SearchRequest& request, const engine::QueryResult& result);

// The schema of the answer's batches; with explain its metadata say how `results` were found.
std::shared_ptr<arrow::Schema> ExplainedSchema(const SearchRequest& request,
                                               std::span<const engine::QueryResult> results);

}  // namespace longbow::node
