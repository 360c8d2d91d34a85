// net::Server on the C ABI of door.h.
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <utility>

#include "base/check.h"
#include "net/door.h"
#include "net/door_call.h"
#include "net/receive_budget.h"
#include "net/server.h"

namespace longbow::net {
namespace {

door_slice AsSlice(const std::string& text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

uint32_t Milliseconds(std::chrono::milliseconds time) {
  constexpr auto kMax = std::chrono::milliseconds(UINT32_MAX);
  return static_cast<uint32_t>(std::clamp(time, std::chrono::milliseconds(0), kMax).count());
}

// rustls and the kernel report a peer that went away as an error of the write; the signal's default would end the
// process.
void IgnoreBrokenPipes() {
  struct sigaction current {};
  if (sigaction(SIGPIPE, nullptr, &current) == 0 && current.sa_handler == SIG_DFL) {
    current.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &current, nullptr);
  }
}

class DoorServer final : public Server {
 public:
  DoorServer(HandlerFactory factory, size_t message_max_bytes, size_t bytes_in_flight_max)
      : factory_(std::move(factory)),
        message_max_bytes_(message_max_bytes),
        budget_(std::make_shared<ReceiveBudget>(bytes_in_flight_max)) {}

  ~DoorServer() override {
    if (door_ != nullptr) {
      Stop(std::chrono::milliseconds(0));
      door_free(door_);
    }
  }

  Status Listen(const ServerOptions& options);
  Status ReplaceCertificates(const std::string& cert_pem, const std::string& key_pem,
                             const std::string& client_ca_pem) override {
    char error[512] = "";
    return door_replace_identity(door_, AsSlice(cert_pem), AsSlice(key_pem), AsSlice(client_ca_pem), error,
                                 sizeof error) != 0
               ? Status()
               : InvalidArgument(std::string("TLS: ") + error);
  }

  uint16_t port() const override { return door_port(door_); }
  size_t connections() const override { return door_connections(door_); }
  void Stop(std::chrono::milliseconds grace) override {
    door_stop(door_, Milliseconds(grace));
    // What callers rely on: nothing of theirs is in use any more.
    LB_CHECK(calls_open_.load(std::memory_order_acquire) == 0);
  }

 private:
  // An exception that left a callback would unwind into Rust: noexcept makes it end the process here, with a trace.
  static void* OnCall(void* context, door_call* call, const door_request* request) noexcept {
    auto& server = *static_cast<DoorServer*>(context);
    const auto made =
        std::make_shared<DoorCall>(call, *request, server.message_max_bytes_, server.budget_, server.calls_open_);
    made->Begin(server.factory_);
    return made.get();
  }
  static int OnRead(void* user) noexcept { return static_cast<DoorCall*>(user)->OnRead(); }
  static int OnData(void* user, const uint8_t* data, size_t size, const door_bytes* bytes) noexcept {
    return static_cast<DoorCall*>(user)->OnData(data, size, bytes);
  }
  static void OnEnd(void* user) noexcept { static_cast<DoorCall*>(user)->OnEnd(); }
  static void OnDrain(void* user) noexcept { static_cast<DoorCall*>(user)->OnDrain(); }
  static void OnDeadline(void* user) noexcept { static_cast<DoorCall*>(user)->OnDeadline(); }
  static void OnClose(void* user, int why) noexcept { static_cast<DoorCall*>(user)->OnClose(why); }

  const HandlerFactory factory_;
  const size_t message_max_bytes_;
  const std::shared_ptr<ReceiveBudget> budget_;
  std::atomic<size_t> calls_open_{0};
  door* door_ = nullptr;  // set once by Listen
};

Status DoorServer::Listen(const ServerOptions& options) {
  const door_options out{
      .listen = AsSlice(options.listen),
      .cert = AsSlice(options.cert_pem),
      .key = AsSlice(options.key_pem),
      .client_ca = AsSlice(options.client_ca_pem),
      .threads = options.threads,
      .stream_window_bytes = options.stream_window_bytes,
      .connection_window_bytes = options.connection_window_bytes,
      .windows_max_bytes = options.bytes_in_flight_max / 4,
      .streams_max = options.streams_max,
      .header_list_max_bytes = options.header_list_max_bytes,
      .frame_max_bytes = options.frame_max_bytes,
      .connections_max = options.connections_max,
      .reset_streams_max = options.reset_streams_max,
      .header_timeout_ms = Milliseconds(options.header_timeout),
      .idle_timeout_ms = Milliseconds(options.idle_timeout),
      .keepalive_ms = Milliseconds(options.keepalive_time),
      .keepalive_timeout_ms = Milliseconds(options.keepalive_timeout),
  };
  const door_callbacks callbacks{OnCall, OnRead, OnData, OnEnd, OnDrain, OnDeadline, OnClose};
  char error[512] = "";
  int kind = 0;
  door_ = door_start(&out, &callbacks, this, &kind, error, sizeof error);
  if (door_ != nullptr) {
    return {};
  }
  return kind == DOOR_BAD_TLS ? InvalidArgument(std::string("TLS: ") + error)
                              : Unavailable("cannot listen on " + options.listen + ": " + error);
}

Status CheckOptions(const ServerOptions& options) {
  constexpr uint32_t kWindowMaxBytes = (1u << 31) - 1;                            // RFC 9113, section 6.9.1
  constexpr uint32_t kFrameMinBytes = 1u << 14, kFrameMaxBytes = (1u << 24) - 1;  // section 6.5.2
  if (options.stream_window_bytes > kWindowMaxBytes || options.connection_window_bytes > kWindowMaxBytes) {
    return InvalidArgument("HTTP/2 window: must be below 2 GiB");
  }
  if (options.frame_max_bytes < kFrameMinBytes || options.frame_max_bytes > kFrameMaxBytes) {
    return InvalidArgument("HTTP/2 frame size: got " + std::to_string(options.frame_max_bytes) +
                           ", must be 16384 to 16777215");
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Server>> Server::Start(ServerOptions options, HandlerFactory factory) {
  LB_TRY(CheckOptions(options));
  IgnoreBrokenPipes();
  auto server =
      std::make_unique<DoorServer>(std::move(factory), options.message_max_bytes, options.bytes_in_flight_max);
  LB_TRY(server->Listen(options));
  return std::unique_ptr<Server>(std::move(server));
}

}  // namespace longbow::net
