// A small server on net::Server for the tests under tests/net: it echoes, swallows, produces and fails on request.
//
// gRPC methods under /longbow.test.Echo/:
//   Echo        sends every message back; EchoLater does it from another thread
//   Sink        reads everything, answers one message with "<messages> <bytes>"
//   Source      first message "<count> <size>": sends that many messages of that many bytes (at most 64 MiB), as the
//   client takes them Hold        reads one message and never answers HoldUnread  reads one message and no more, and
//   never answers Fail        first message "<code> <text>": ends with them, and with the trailers test-text and
//   test-bytes-bin
// HTTP: /hello, /echo, /hold, /large?<bytes>, /status?<code>, /stats (calls open, connections, peer and certificate
// size)
#include <malloc.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <cstdio>
#include <iostream>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "net/server.h"

namespace longbow::net {
namespace {

std::atomic<int> calls_open{0};

std::string Join(const Message& message) {
  std::string text;
  for (const Slice& piece : message) {
    text += piece.view();
  }
  return text;
}

size_t ParseNumber(std::string_view text) {
  size_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// The same memory every time: what tests measure is then the transport's memory, not this server's.
Slice Filler(size_t size_bytes) {
  static const Slice filler = Slice::Own(std::string(64u << 20, 's'));
  return filler.Sub(0, std::min(size_bytes, filler.size()));
}

Slice Bytes(std::string text) { return Slice::Own(std::move(text)); }

class EchoHandler : public Handler, public std::enable_shared_from_this<EchoHandler> {
 public:
  explicit EchoHandler(std::shared_ptr<Call> call) : call_(std::move(call)) { ++calls_open; }
  ~EchoHandler() override { --calls_open; }

  void OnMessage(Message message) override {
    call_->Send(std::move(message));
    call_->Read();
  }
  void OnEnd() override { call_->Finish(Status()); }

 protected:
  const std::shared_ptr<Call> call_;
};

class EchoLaterHandler final : public EchoHandler {
 public:
  using EchoHandler::EchoHandler;
  void OnMessage(Message message) override {
    std::thread([self = shared_from_this(), this, message = std::move(message)]() mutable {
      call_->Send(std::move(message));
      call_->Read();
    }).detach();
  }
};

class SinkHandler final : public EchoHandler {
 public:
  using EchoHandler::EchoHandler;
  void OnMessage(Message message) override {
    ++messages_;
    bytes_ += TotalSize(message);
    call_->Read();
  }
  void OnEnd() override {
    call_->Send({Bytes(std::to_string(messages_) + " " + std::to_string(bytes_))});
    call_->Finish(Status());
  }

 private:
  size_t messages_ = 0, bytes_ = 0;
};

class SourceHandler final : public EchoHandler {
 public:
  using EchoHandler::EchoHandler;
  void OnMessage(Message message) override {
    const std::string text = Join(message);
    const size_t space = std::min(text.find(' '), text.size() - 1);
    count_ = ParseNumber(text);
    bytes_ = Filler(ParseNumber(std::string_view(text).substr(space + 1)));
    OnDrain();
  }
  void OnDrain() override {
    constexpr size_t kAhead = 2;
    while (count_ > 0) {
      --count_;
      if (call_->Send({bytes_}) >= kAhead) {
        return;
      }
    }
    call_->Finish(Status());
  }
  void OnEnd() override {}

 private:
  size_t count_ = 0;
  Slice bytes_;
};

class HoldHandler final : public EchoHandler {
 public:
  HoldHandler(std::shared_ptr<Call> call, bool read_on) : EchoHandler(std::move(call)), read_on_(read_on) {}
  void OnMessage(Message message) override {
    held_ = std::move(message);
    if (read_on_) {
      call_->Read();
    }
  }
  void OnEnd() override {}

 private:
  const bool read_on_;
  Message held_;
};

class FailHandler final : public EchoHandler {
 public:
  using EchoHandler::EchoHandler;
  void OnMessage(Message message) override {
    const std::string text = Join(message);
    const size_t space = std::min(text.find(' '), text.size());
    const auto code = static_cast<StatusCode>(ParseNumber(text));
    Outcome outcome{Status(code, text.substr(std::min(space + 1, text.size()))), {}, 0};
    outcome.trailers = {{"test-text", "a, b"}, {"test-bytes-bin", std::string("\0\1\xff", 3)}};
    call_->Finish(std::move(outcome));
  }
};

class HttpHandler final : public EchoHandler {
 public:
  HttpHandler(std::shared_ptr<Call> call, const Server* server) : EchoHandler(std::move(call)), server_(server) {}
  void OnMessage(Message message) override {
    const std::string_view path = call_->head().path;
    const size_t query = std::min(path.find('?'), path.size());
    const size_t number = ParseNumber(path.substr(std::min(query + 1, path.size())));
    const std::string_view name = path.substr(0, query);
    if (name == "/hold") {
      return;
    }
    if (name == "/status") {
      return call_->Finish(Outcome{Status(), {}, static_cast<int>(number)});
    }
    call_->AddHeader("content-type", "text/plain");
    if (name == "/echo") {
      call_->Send(std::move(message));
    } else if (name == "/large") {
      call_->Send({Filler(number)});
    } else if (name == "/stats") {
      call_->Send({Bytes(std::to_string(calls_open) + " " + std::to_string(server_->connections()) + " " +
                         call_->head().peer + " " + std::to_string(call_->head().peer_cert_der.size()))});
    } else {
      call_->Send({Bytes("hello")});
    }
    call_->Finish(Status());
  }

 private:
  const Server* const server_;
};

std::shared_ptr<Handler> MakeGrpcHandler(const std::shared_ptr<Call>& call) {
  constexpr std::string_view kService = "/longbow.test.Echo/";
  std::string_view method = call->head().path;
  if (!method.starts_with(kService)) {
    return nullptr;
  }
  method.remove_prefix(kService.size());
  if (method == "Echo")
    return std::make_shared<EchoHandler>(call);
  if (method == "EchoLater")
    return std::make_shared<EchoLaterHandler>(call);
  if (method == "Sink")
    return std::make_shared<SinkHandler>(call);
  if (method == "Source")
    return std::make_shared<SourceHandler>(call);
  if (method == "Hold")
    return std::make_shared<HoldHandler>(call, true);
  if (method == "HoldUnread")
    return std::make_shared<HoldHandler>(call, false);
  if (method == "Fail")
    return std::make_shared<FailHandler>(call);
  return nullptr;
}

Result<std::string> ReadWhole(const std::string& path);

Status SetOption(std::string_view flag, ServerOptions& options) {
  const size_t equals = std::min(flag.find('='), flag.size());
  const std::string_view name = flag.substr(0, equals);
  const std::string value(flag.substr(std::min(equals + 1, flag.size())));
  const size_t number = ParseNumber(value);
  if (name == "--listen")
    options.listen = value;
  else if (name == "--cert") {
    LB_ASSIGN(options.cert_pem, ReadWhole(value));
  } else if (name == "--key") {
    LB_ASSIGN(options.key_pem, ReadWhole(value));
  } else if (name == "--client-ca") {
    LB_ASSIGN(options.client_ca_pem, ReadWhole(value));
  } else if (name == "--threads")
    options.threads = static_cast<uint32_t>(number);
  else if (name == "--stream-window")
    options.stream_window_bytes = static_cast<uint32_t>(number);
  else if (name == "--connection-window")
    options.connection_window_bytes = static_cast<uint32_t>(number);
  else if (name == "--frame-max")
    options.frame_max_bytes = static_cast<uint32_t>(number);
  else if (name == "--streams-max")
    options.streams_max = static_cast<uint32_t>(number);
  else if (name == "--connections-max")
    options.connections_max = static_cast<uint32_t>(number);
  else if (name == "--message-max")
    options.message_max_bytes = number;
  else if (name == "--bytes-in-flight-max")
    options.bytes_in_flight_max = number;
  else if (name == "--header-timeout-ms")
    options.header_timeout = std::chrono::milliseconds(number);
  else if (name == "--idle-timeout-ms")
    options.idle_timeout = std::chrono::milliseconds(number);
  else if (name == "--keepalive-ms")
    options.keepalive_time = std::chrono::milliseconds(number);
  else if (name == "--keepalive-timeout-ms")
    options.keepalive_timeout = std::chrono::milliseconds(number);
  else
    return InvalidArgument("unknown flag " + std::string(name));
  return {};
}

Result<std::string> ReadWhole(const std::string& path) {
  std::string text;
  FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    return NotFound("cannot open " + path);
  }
  char buffer[4096];
  for (size_t size; (size = std::fread(buffer, 1, sizeof buffer, file)) > 0;) {
    text.append(buffer, size);
  }
  std::fclose(file);
  return text;
}

int Run(int argc, char** argv) {
  sigset_t stop_signals;
  sigemptyset(&stop_signals);
  sigaddset(&stop_signals, SIGTERM);
  sigaddset(&stop_signals, SIGINT);
  pthread_sigmask(SIG_BLOCK, &stop_signals, nullptr);

  // As a server should run (README.md): freed blocks are kept, so what tests measure is the worst case of memory.
  mallopt(M_MMAP_THRESHOLD, 1 << 28);
  mallopt(M_TRIM_THRESHOLD, 1 << 29);

  ServerOptions options;
  options.listen = "127.0.0.1:0";
  for (int i = 1; i < argc; ++i) {
    if (const Status status = SetOption(argv[i], options); !status.ok()) {
      std::cerr << status.ToString() << "\n";
      return 2;
    }
  }
  Filler(0);  // made before the first measurement
  std::atomic<const Server*> running{nullptr};
  auto server = Server::Start(options, [&running](std::shared_ptr<Call> call) -> std::shared_ptr<Handler> {
    std::shared_ptr<Handler> handler;
    if (call->head().grpc) {
      handler = MakeGrpcHandler(call);
    } else {
      handler = std::make_shared<HttpHandler>(call, running.load());
    }
    if (handler != nullptr) {
      call->Read();
    }
    return handler;
  });
  if (!server.ok()) {
    std::cerr << server.status().ToString() << "\n";
    return 1;
  }
  running = server->get();
  std::cout << "listening " << (*server)->port() << "\n" << std::flush;
  int signal = 0;
  sigwait(&stop_signals, &signal);
  (*server)->Stop(std::chrono::milliseconds(2000));
  std::cout << "stopped " << calls_open << "\n" << std::flush;
  return 0;
}

}  // namespace
}  // namespace longbow::net

int main(int argc, char** argv) { return longbow::net::Run(argc, argv); }
