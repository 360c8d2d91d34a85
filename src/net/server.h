// A listening port: TLS, HTTP/1.1, HTTP/2, gRPC framing, limits. Calls go to one HandlerFactory.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>

#include "base/status.h"
#include "net/net.h"

namespace longbow::net {

struct ServerOptions {
  std::string listen;             // "127.0.0.1:3000", "[::1]:0"
  std::string cert_pem, key_pem;  // PEM text; empty = plaintext
  std::string client_ca_pem;      // not empty: clients must show a certificate of this authority (mTLS)
  uint32_t threads = 2;
  uint32_t stream_window_bytes = 1u << 20;
  uint32_t connection_window_bytes = 2u << 20;
  uint32_t streams_max = 250;  // per connection
  uint32_t header_list_max_bytes = 16u << 10;
  uint32_t frame_max_bytes = 1u << 20;
  uint32_t connections_max = 10'000;
  uint32_t reset_streams_max = 1'000;  // resets a connection may have pending before GOAWAY
  size_t message_max_bytes = 512u << 20;
  // Received bytes that calls and handlers hold, all connections together. At the limit a call in the middle of a
  // message, and a new one that sends bytes, ends with RESOURCE_EXHAUSTED; a stream between two messages waits. Bytes
  // that nobody read yet add at most a quarter of it, and 64 KiB and one frame per connection.
  size_t bytes_in_flight_max = 2u << 30;
  std::chrono::milliseconds header_timeout{10'000};     // TLS handshake, HTTP/2 preface, one head or header block
  std::chrono::milliseconds idle_timeout{0};            // connection without a call; 0 = none
  std::chrono::milliseconds keepalive_time{7'200'000};  // HTTP/2: nothing heard for so long: ping. 0 = never
  // For the answer to a ping, and for the next byte that a connection waits for: the rest of a frame, an HTTP/1.1 body
  // that is being read, room in the socket for what is to be sent.
  std::chrono::milliseconds keepalive_timeout{20'000};
};

// Start to Stop once. Thread safe after Start.
class Server {
 public:
  // Binds and serves. UNAVAILABLE with the address if it cannot bind; INVALID_ARGUMENT for bad PEM.
  static Result<std::unique_ptr<Server>> Start(ServerOptions options, HandlerFactory factory);
  virtual ~Server() = default;  // Stop

  // PEM texts as in ServerOptions, for the connections to come; those that stand keep what they began with.
  // INVALID_ARGUMENT: they do not fit together, or the port was started without TLS; the old ones stay.
  virtual Status ReplaceCertificates(const std::string& cert_pem, const std::string& key_pem,
                                     const std::string& client_ca_pem) = 0;
  virtual uint16_t port() const = 0;
  virtual size_t connections() const = 0;
  // Not on a thread of the server, so not inside a callback. No new connections and calls (GOAWAY); calls in flight may
  // end until `grace` is over, then they are aborted. On return no callback runs any more.
  virtual void Stop(std::chrono::milliseconds grace) = 0;
};

}  // namespace longbow::net
