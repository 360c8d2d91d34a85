#include "node/flight_service.h"

#include <map>
#include <string_view>

#include "flight.pb.h"
#include "node/actions.h"
#include "node/exchange_stream.h"
#include "node/flight_listing.h"
#include "node/get_stream.h"
#include "node/grpc_services.h"
#include "node/put_stream.h"
#include "node/search_service.h"
#include "node/service_call.h"

namespace longbow::node {
namespace {

constexpr std::string_view kPrefix = "/arrow.flight.protocol.FlightService/";

// Accepts whatever is sent and answers nothing: there is nothing to negotiate, and the contract's clients expect
// success.
class HandshakeCall final : public ServiceCall {
 public:
  using ServiceCall::ServiceCall;
  void OnMessage(net::Message) override { call().Read(); }
  void OnEnd() override { End({}); }
};

std::shared_ptr<ServiceCall> MakeFlightCall(Services& services, std::shared_ptr<net::Call> call,
                                            std::string_view method) {
  const auto unary = [&](const char* action, ThreadPool& pool, UnaryCall::Work work) {
    return std::make_shared<UnaryCall>(std::move(call), services, action, pool, std::move(work));
  };
  if (method == "DoGet") {
    return std::make_shared<GetStream>(std::move(call), services);
  }
  if (method == "DoPut") {
    return std::make_shared<PutStream>(std::move(call), services);
  }
  if (method == "DoExchange") {
    return std::make_shared<ExchangeStream>(std::move(call), services);
  }
  if (method == "DoAction") {
    return std::make_shared<ActionCall>(std::move(call), services);
  }
  if (method == "ListActions") {
    return unary("list_actions", services.search_pool, ListActions);
  }
  if (method == "ListFlights") {
    return unary("list_flights", services.search_pool, ListFlights);
  }
  if (method == "GetFlightInfo") {
    return unary("get_flight_info", services.search_pool, GetFlightInfo);
  }
  if (method == "GetSchema") {
    return unary("get_schema", services.search_pool, GetSchema);
  }
  if (method == "Handshake") {
    return std::make_shared<HandshakeCall>(std::move(call), services, "handshake");
  }
  return nullptr;  // PollFlightInfo too: answers come at once here, so there is nothing to poll
}

}  // namespace

std::shared_ptr<net::Handler> MakeGrpcHandler(Services& services, std::shared_ptr<net::Call> call) {
  if (!call->head().grpc) {
    return nullptr;
  }
  const std::string path = call->head().path;
  std::shared_ptr<ServiceCall> handler;
  if (path.starts_with(kPrefix)) {
    handler = MakeFlightCall(services, std::move(call), std::string_view(path).substr(kPrefix.size()));
  } else if (path.starts_with(kSearchServicePrefix)) {
    handler = MakeSearchCall(services, std::move(call), std::string_view(path).substr(kSearchServicePrefix.size()));
  } else {
    handler = MakeStandardCall(services, std::move(call), path);
  }
  if (handler != nullptr) {
    handler->Start();
  }
  return handler;
}

}  // namespace longbow::node
