// ListFlights, GetFlightInfo, GetSchema: what there is.
#pragma once

#include <string>

#include "node/service_call.h"

namespace longbow::node {

// UnaryCall::Work of the RPC of the same name.
Status ListFlights(Services& services, net::Call& call, const std::string& request, const Cancellation* cancellation);
Status GetFlightInfo(Services& services, net::Call& call, const std::string& request, const Cancellation* cancellation);
Status GetSchema(Services& services, net::Call& call, const std::string& request, const Cancellation* cancellation);

}  // namespace longbow::node
