// Status -> how a call ends on the wire: gRPC code and trailers, HTTP status. The one table of this border.
#pragma once

#include "base/status.h"
#include "net/net.h"

namespace longbow::wire {

// With RESOURCE_EXHAUSTED that passes by itself comes the trailer grpc-retry-pushback-ms, which gRPC's clients obey
// where a retry policy is set (gRFC A6).
net::Outcome ToOutcome(const Status& status);

}  // namespace longbow::wire
