#include "node/http_endpoints.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "wire/outcome.h"

namespace longbow::node {
namespace {

// Answers once the (empty) request body has come.
class HttpAnswer final : public net::Handler {
 public:
  using Respond = std::function<void(net::Call&)>;
  HttpAnswer(std::shared_ptr<net::Call> call, Respond respond) : call_(std::move(call)), respond_(std::move(respond)) {
    call_->Read();
  }

  void OnMessage(net::Message) override { Answer(); }
  void OnEnd() override { Answer(); }

 private:
  void Answer() {
    if (respond_) {
      respond_(*call_);
      respond_ = nullptr;
    }
  }

  const std::shared_ptr<net::Call> call_;
  Respond respond_;
};

void RespondWith(net::Call& call, int http_status, const std::string& content_type, std::string body) {
  call.AddHeader("content-type", content_type);
  call.Send({Slice::Own(std::move(body))});
  call.Finish(net::Outcome{{}, {}, http_status});
}

void RespondHealth(net::Call& call, const Status& status) {
  nlohmann::json body{{"status", status.ok() ? "ok" : "unavailable"}};
  if (!status.ok()) {
    body["reason"] = std::string(status.message());
  }
  RespondWith(call, status.ok() ? 200 : 503, "application/json",
              body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
}

struct Endpoint {
  Verb verb;  // its name is "GET " and the path
  void (*respond)(const Operator& operation, net::Call& call);
};

constexpr Endpoint kEndpoints[] = {
    {{"GET /metrics", access::Right::kRead, Scope::kNode},
     [](const Operator& operation, net::Call& call) {
       RespondWith(call, 200, "text/plain; version=0.0.4; charset=utf-8", operation.metrics());
     }},
    {{"GET /livez", access::Right::kNone, Scope::kPublic},
     [](const Operator&, net::Call& call) { RespondHealth(call, {}); }},
    {{"GET /startupz", access::Right::kNone, Scope::kPublic},
     [](const Operator& operation, net::Call& call) { RespondHealth(call, operation.started()); }},
    {{"GET /readyz", access::Right::kNone, Scope::kPublic},
     [](const Operator& operation, net::Call& call) { RespondHealth(call, operation.ready()); }},
    {{"GET /health", access::Right::kNone, Scope::kPublic},
     [](const Operator& operation, net::Call& call) { RespondHealth(call, operation.ready()); }},
};

Status Admit(const Endpoint& endpoint, const Operator& operation, const net::Head& head) {
  if (endpoint.verb.scope == Scope::kPublic) {
    return {};
  }
  LB_ASSIGN(const access::Caller caller, operation.keys->Authenticate(head.Get("authorization")));
  return MayCall(endpoint.verb, caller.grant);
}

}  // namespace

std::vector<Verb> HttpVerbs() {
  std::vector<Verb> verbs;
  for (const Endpoint& endpoint : kEndpoints) {
    verbs.push_back(endpoint.verb);
  }
  return verbs;
}

std::shared_ptr<net::Handler> MakeHttpHandler(const Operator& operation, std::shared_ptr<net::Call> call) {
  const std::string path = call->head().path.substr(0, call->head().path.find('?'));
  const auto* endpoint = std::find_if(std::begin(kEndpoints), std::end(kEndpoints), [&](const Endpoint& known) {
    return known.verb.name.substr(known.verb.name.find(' ') + 1) == path;
  });
  if (endpoint == std::end(kEndpoints)) {
    return nullptr;
  }
  HttpAnswer::Respond respond = [operation, endpoint](net::Call& c) { endpoint->respond(operation, c); };
  if (call->head().method != "GET" && call->head().method != "HEAD") {
    respond = [](net::Call& c) {
      c.AddHeader("allow", "GET, HEAD");
      RespondWith(c, 405, "text/plain; charset=utf-8", "only GET and HEAD are allowed here\n");
    };
  } else if (const Status may = Admit(*endpoint, operation, call->head()); !may.ok()) {
    respond = [may](net::Call& c) {
      if (may.code() == StatusCode::kUnauthenticated) {
        c.AddHeader("www-authenticate", "Bearer");
      }
      c.Finish(wire::ToOutcome(may));
    };
  }
  return std::make_shared<HttpAnswer>(std::move(call), std::move(respond));
}

}  // namespace longbow::node
