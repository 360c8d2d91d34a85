// The services every gRPC port is expected to have: health and server reflection.
#pragma once

#include <memory>
#include <string>

#include "node/service_call.h"

namespace longbow::node {

// The handler for a method path of grpc.health.v1.Health or grpc.reflection.{v1,v1alpha}.ServerReflection; null for
// others.
std::shared_ptr<ServiceCall> MakeStandardCall(Services& services, std::shared_ptr<net::Call> call,
                                              const std::string& path);

}  // namespace longbow::node
