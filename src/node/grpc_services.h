// The services every gRPC port is expected to have: health and server reflection.
#pragma once

#include <span>

#include "node/rpc.h"

namespace longbow::node {

// The methods of grpc.health.v1.Health, which probes call without a key, and grpc.reflection.{v1,v1alpha}.
std::span<const Rpc> StandardRpcs();

}  // namespace longbow::node
