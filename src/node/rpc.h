// One line of a table of RPCs: what it takes, and who answers it.
#pragma once

#include <memory>

#include "net/net.h"
#include "node/service_call.h"
#include "node/verbs.h"

namespace longbow::node {

struct Rpc {
  Verb verb;  // its name is the path of the method
  std::shared_ptr<ServiceCall> (*make)(std::shared_ptr<net::Call> call, const Services& services);
};

// A handler that is made of nothing but the call and the services.
template <typename Handler>
std::shared_ptr<ServiceCall> MakeCall(std::shared_ptr<net::Call> call, const Services& services) {
  return std::make_shared<Handler>(std::move(call), services);
}

}  // namespace longbow::node
