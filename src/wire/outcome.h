// Status -> how a call ends on the wire: gRPC code and trailers, HTTP status. The one table of this border.
#pragma once

#include "base/status.h"
#include "net/net.h"

namespace longbow::wire {

// Arrow's client reads the gRPC code; trailers (x-arrow-status, x-arrow-status-message-bin) refine where it is too coarse.
net::Outcome ToOutcome(const Status& status);

}  // namespace longbow::wire
