// Arrow Flight (contract: docs/wire/flight.md): every RPC, on every port that asks for it.
#pragma once

#include <memory>

#include "net/net.h"
#include "node/services.h"
#include "node/verbs.h"

namespace longbow::node {

// The handler of a call to FlightService, to our search service, to health or reflection; null for other paths.
std::shared_ptr<net::Handler> MakeGrpcHandler(SharedServices& services, std::shared_ptr<net::Call> call);

std::vector<Verb> RpcVerbs();

}  // namespace longbow::node
