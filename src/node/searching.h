// The search of every door of the node, measured.
#pragma once

#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/search.h"
#include "node/services.h"

namespace longbow::node {

Result<std::vector<engine::QueryResult>> Search(Services& services, const SearchRequest& request,
                                                const Cancellation* cancellation);

}  // namespace longbow::node
