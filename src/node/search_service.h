// longbow.v1.SearchService (proto/search.proto, docs/wire/search.md): searches without Flight's shell around them.
#pragma once

#include <span>

#include "node/rpc.h"

namespace longbow::node {

// Search and SearchStream.
std::span<const Rpc> SearchRpcs();

}  // namespace longbow::node
