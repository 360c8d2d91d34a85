// DoAction and ListActions: the contract's named actions.
#pragma once

#include <string>
#include <vector>

#include "node/service_call.h"
#include "node/verbs.h"

namespace longbow::node {

std::vector<Verb> ActionVerbs();

Status ListActions(Services& services, net::Call& call, const std::string& request, const Cancellation* cancellation);

// One Action message; its type says which pool does the work.
class ActionCall final : public ServiceCall {
 public:
  ActionCall(std::shared_ptr<net::Call> call, const Services& services)
      : ServiceCall(std::move(call), services, "do_action") {}

  void OnMessage(net::Message message) override;
  void OnEnd() override;

 private:
  bool got_action_ = false;  // transport callbacks only
};

}  // namespace longbow::node
