// Status -> how a call ends on the wire: gRPC code and trailers, HTTP status. The one table of this border.
#pragma once

#include "base/status.h"
#include "net/net.h"

namespace longbow::wire {

net::Outcome ToOutcome(const Status& status);

}  // namespace longbow::wire
