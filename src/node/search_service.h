// longbow.v1.SearchService (proto/search.proto, docs/wire/search.md): searches without Flight's shell around them.
#pragma once

#include <memory>
#include <string_view>

#include "node/service_call.h"

namespace longbow::node {

inline constexpr std::string_view kSearchServicePrefix = "/longbow.v1.SearchService/";

// The handler of Search or SearchStream; null for other methods.
std::shared_ptr<ServiceCall> MakeSearchCall(Services& services, std::shared_ptr<net::Call> call,
                                            std::string_view method);

}  // namespace longbow::node
