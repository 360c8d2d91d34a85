#include "node/flight_service.h"

#include <span>
#include <string>
#include <utility>

#include "node/actions.h"
#include "node/exchange_stream.h"
#include "node/flight_listing.h"
#include "node/get_stream.h"
#include "node/grpc_services.h"
#include "node/metered_call.h"
#include "node/put_stream.h"
#include "node/rpc.h"
#include "node/search_service.h"
#include "node/service_call.h"
#include "wire/outcome.h"

namespace longbow::node {
namespace {

using access::Right;

// Accepts whatever is sent and answers no message. Who logs in with a key as the password gets it back as a token, as
// Flight's clients expect; who sends nothing has nothing to negotiate.
class HandshakeCall final : public ServiceCall {
 public:
  HandshakeCall(std::shared_ptr<net::Call> call, const Services& services)
      : ServiceCall(std::move(call), services, "handshake") {}
  void OnMessage(net::Message) override { call().Read(); }
  void OnEnd() override {
    if (services().caller.key != nullptr) {
      call().AddHeader("authorization", "Bearer " + access::KeyOfHeader(call().head().Get("authorization")));
    }
    End({});
  }
};

template <UnaryCall::Answer kAnswer>
std::shared_ptr<ServiceCall> MakeListing(std::shared_ptr<net::Call> call, const Services& services) {
  const std::string path = call->head().path;
  const char* action = path.ends_with("/ListActions")     ? "list_actions"
                       : path.ends_with("/ListFlights")   ? "list_flights"
                       : path.ends_with("/GetFlightInfo") ? "get_flight_info"
                                                          : "get_schema";
  return std::make_shared<UnaryCall>(std::move(call), services, action, services.search_pool, kAnswer);
}

// PollFlightInfo is not served: answers come at once here, so there is nothing to poll.
constexpr Rpc kFlight[] = {
    {{"/arrow.flight.protocol.FlightService/DoGet", Right::kRead, Scope::kDataset}, MakeCall<GetStream>},
    {{"/arrow.flight.protocol.FlightService/DoPut", Right::kWrite, Scope::kDataset}, MakeCall<PutStream>},
    // The actions and the two kinds of exchange are verbs of their own.
    {{"/arrow.flight.protocol.FlightService/DoAction", Right::kRead, Scope::kAnyKey}, MakeCall<ActionCall>},
    {{"/arrow.flight.protocol.FlightService/DoExchange", Right::kRead, Scope::kAnyKey}, MakeCall<ExchangeStream>},
    {{"/arrow.flight.protocol.FlightService/ListActions", Right::kRead, Scope::kAnyKey}, MakeListing<ListActions>},
    {{"/arrow.flight.protocol.FlightService/ListFlights", Right::kRead, Scope::kVisible}, MakeListing<ListFlights>},
    {{"/arrow.flight.protocol.FlightService/GetFlightInfo", Right::kRead, Scope::kDataset}, MakeListing<GetFlightInfo>},
    {{"/arrow.flight.protocol.FlightService/GetSchema", Right::kRead, Scope::kDataset}, MakeListing<GetSchema>},
    {{"/arrow.flight.protocol.FlightService/Handshake", Right::kRead, Scope::kAnyKey}, MakeCall<HandshakeCall>},
};

const Rpc* FindRpc(const std::string& path) {
  for (const std::span<const Rpc> table : {std::span<const Rpc>(kFlight), SearchRpcs(), StandardRpcs()}) {
    for (const Rpc& rpc : table) {
      if (rpc.verb.name == path) {
        return &rpc;
      }
    }
  }
  return nullptr;
}

// Who calls, if he may call this. Where there is no such method a stranger is not told.
Result<access::Caller> Admit(const SharedServices& services, const Rpc* rpc, const net::Head& head) {
  if (rpc != nullptr && rpc->verb.scope == Scope::kPublic) {
    return access::Caller{.grant = {"", Right::kNone, ""}, .key = nullptr};
  }
  LB_ASSIGN(access::Caller caller, services.keys.Authenticate(head.Get("authorization")));
  if (rpc != nullptr) {
    LB_TRY(MayCall(rpc->verb, caller.grant));
  }
  return caller;
}

// The call as its limits count it; null where there are none. Probes of health are never refused.
Result<std::shared_ptr<access::OpenCall>> OpenOf(SharedServices& services, const Rpc& rpc,
                                                 const access::Caller& caller) {
  if (rpc.verb.scope == Scope::kPublic ||
      (services.meter == nullptr && caller.key_meter == nullptr && caller.namespace_meter == nullptr)) {
    return std::shared_ptr<access::OpenCall>();
  }
  auto open = access::OpenCall::Make({services.meter, caller.key_meter, caller.namespace_meter});
  (open.ok() ? services.metrics.rate_allowed : services.metrics.rate_throttled).Add();
  LB_TRY(open.status());
  return std::shared_ptr<access::OpenCall>(*std::move(open));
}

}  // namespace

std::vector<Verb> RpcVerbs() {
  std::vector<Verb> verbs;
  for (const std::span<const Rpc> table : {std::span<const Rpc>(kFlight), SearchRpcs(), StandardRpcs()}) {
    for (const Rpc& rpc : table) {
      verbs.push_back(rpc.verb);
    }
  }
  return verbs;
}

std::shared_ptr<net::Handler> MakeGrpcHandler(SharedServices& services, std::shared_ptr<net::Call> call) {
  if (!call->head().grpc) {
    return nullptr;
  }
  const Rpc* rpc = FindRpc(call->head().path);
  Result<access::Caller> caller = Admit(services, rpc, call->head());
  if (!caller.ok()) {
    (caller.status().code() == StatusCode::kUnauthenticated ? services.metrics.unauthenticated
                                                            : services.metrics.permission_denied)
        .Add();
    call->Finish(wire::ToOutcome(caller.status()));
    return nullptr;
  }
  if (rpc == nullptr) {
    return nullptr;
  }
  Result<std::shared_ptr<access::OpenCall>> open = OpenOf(services, *rpc, *caller);
  if (!open.ok()) {
    call->Finish(wire::ToOutcome(open.status()));
    return nullptr;
  }
  const bool metered = *open != nullptr && (*open)->HasRates();
  if (metered) {
    call = std::make_shared<MeteredCall>(std::move(call), *open, services.pacer);
  }
  std::shared_ptr<ServiceCall> handler = rpc->make(std::move(call), Services(services, *std::move(caller), *open));
  handler->Start();
  if (metered) {
    return std::make_shared<MeteredHandler>(std::move(handler), *open);
  }
  return handler;
}

}  // namespace longbow::node
