// What a handler sees of a call, whatever carries it: gRPC over HTTP/2, or HTTP/1.1 and HTTP/2 requests.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/slice.h"
#include "base/status.h"

namespace longbow::net {

using Message = Slices;                                            // one gRPC message, or a whole HTTP body, in pieces
using Headers = std::vector<std::pair<std::string, std::string>>;  // names in lower case

struct Head {
  std::string method;  // GET, POST, ...
  std::string path;    // with query string
  std::string authority;
  std::string peer;           // "ipv4:127.0.0.1:4711"
  std::string peer_cert_der;  // empty without a client certificate
  Headers headers;
  std::optional<std::chrono::milliseconds> timeout;  // grpc-timeout
  bool grpc = false;                                 // content-type application/grpc...
  bool tls = false;

  std::string_view Get(std::string_view name) const;  // empty if absent
};

// How a call ends. `trailers`: keys ending in -bin are base64-coded on the wire. For plain HTTP: `http_status` 0 = from
// the code.
struct Outcome {
  Status status;
  Headers trailers;
  int http_status = 0;
};

// The transport's half of a call. Any thread may call; after Finish or Handler::OnClose calls do nothing.
class Call {
 public:
  virtual ~Call() = default;
  virtual const Head& head() const = 0;
  // Asks for one message: OnMessage or OnEnd answers. One outstanding Read at a time: that is the back-pressure.
  virtual void Read() = 0;
  virtual void AddHeader(std::string name, std::string value) = 0;  // before the first Send
  // Queues one message; the pieces are held until they are sent. Returns how many messages wait.
  virtual size_t Send(Message message) = 0;
  virtual size_t Waiting() const = 0;
  virtual void Finish(Outcome outcome) = 0;  // after all that was sent
  void Finish(Status status) { Finish(Outcome{std::move(status), {}, 0}); }
};

// Ours. Callbacks come one at a time, on a transport thread that carries other calls too: hand long work to a pool.
class Handler {
 public:
  virtual ~Handler() = default;
  virtual void OnMessage(Message message) = 0;
  virtual void OnEnd() = 0;            // the client sent its last message
  virtual void OnDrain() {}            // nothing waits to be sent
  virtual void OnClose(StatusCode) {}  // last; kOk, kCancelled or kDeadlineExceeded
};

// Null: UNIMPLEMENTED for gRPC, 404 for HTTP.
using HandlerFactory = std::function<std::shared_ptr<Handler>(std::shared_ptr<Call>)>;

}  // namespace longbow::net
