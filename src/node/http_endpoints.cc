#include "node/http_endpoints.h"

#include <nlohmann/json.hpp>

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

}  // namespace

std::shared_ptr<net::Handler> MakeHttpHandler(const Operator& operation, std::shared_ptr<net::Call> call) {
  const std::string path = call->head().path.substr(0, call->head().path.find('?'));
  HttpAnswer::Respond respond;
  if (path == "/metrics") {
    respond = [metrics = operation.metrics](net::Call& c) {
      RespondWith(c, 200, "text/plain; version=0.0.4; charset=utf-8", metrics());
    };
  } else if (path == "/livez") {
    respond = [](net::Call& c) { RespondHealth(c, {}); };
  } else if (path == "/startupz") {
    respond = [started = operation.started](net::Call& c) { RespondHealth(c, started()); };
  } else if (path == "/readyz" || path == "/health") {
    respond = [ready = operation.ready](net::Call& c) { RespondHealth(c, ready()); };
  } else {
    return nullptr;
  }
  if (call->head().method != "GET" && call->head().method != "HEAD") {
    respond = [](net::Call& c) {
      c.AddHeader("allow", "GET, HEAD");
      RespondWith(c, 405, "text/plain; charset=utf-8", "only GET and HEAD are allowed here\n");
    };
  }
  return std::make_shared<HttpAnswer>(std::move(call), std::move(respond));
}

}  // namespace longbow::node
