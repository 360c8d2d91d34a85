// The server as the rest of the program sees it, over real sockets. Clients with gRPC and TLS, and hostile ones, are in
// tests/net.
#include "net/server.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"

namespace longbow::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

// A blocking HTTP/1.1 client of one connection.
class Client {
 public:
  explicit Client(uint16_t port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(socket_, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    const timeval limit{5, 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  }
  ~Client() { Close(); }
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  void Close() {
    if (socket_ >= 0) {
      ::close(socket_);
      socket_ = -1;
    }
  }
  bool connected() const { return connected_; }
  bool Send(const std::string& bytes) {
    return ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(bytes.size());
  }
  // What comes until `enough`, the end of the connection, or five seconds of silence.
  std::string Receive(const std::function<bool(const std::string&)>& enough) {
    std::string received;
    char buffer[4096];
    while (!enough(received)) {
      const ssize_t size = ::recv(socket_, buffer, sizeof buffer, 0);
      if (size <= 0) {
        break;
      }
      received.append(buffer, static_cast<size_t>(size));
    }
    return received;
  }
  std::string ReceiveUntil(const std::string& text) {
    return Receive([&text](const std::string& received) { return received.find(text) != std::string::npos; });
  }
  std::string ReceiveAll() {
    return Receive([](const std::string&) { return false; });
  }

 private:
  int socket_;
  bool connected_ = false;
};

// Does what the test says, and notes how its call ended.
class ScriptedHandler final : public Handler {
 public:
  explicit ScriptedHandler(std::shared_ptr<Call> call) : call_(std::move(call)) {}

  void OnMessage(Message message) override {
    if (on_message) {
      on_message(*call_, std::move(message));
    }
  }
  void OnEnd() override {}
  void OnClose(StatusCode code) override {
    MutexLock lock(mu_);
    closed_ = static_cast<int>(code);
    changed_.NotifyAll();
  }
  Call& call() { return *call_; }
  // The code that OnClose got, or -1 after five seconds.
  int AwaitClose() {
    MutexLock lock(mu_);
    const auto deadline = steady_clock::now() + std::chrono::seconds(5);
    while (closed_ < 0 && changed_.WaitUntil(mu_, deadline)) {
    }
    return closed_;
  }

  std::function<void(Call&, Message)> on_message;  // set before the call reads

 private:
  const std::shared_ptr<Call> call_;
  Mutex mu_;
  CondVar changed_;
  int closed_ GUARDED_BY(mu_) = -1;
};

class ServerTest : public ::testing::Test {
 protected:
  void TearDown() override { server_.reset(); }  // before what its threads use

  void Start(ServerOptions options = {}) {
    options.listen = "127.0.0.1:0";
    auto started = Server::Start(options, [this](std::shared_ptr<Call> call) -> std::shared_ptr<Handler> {
      if (call->head().path == "/nothing") {
        return nullptr;
      }
      auto handler = std::make_shared<ScriptedHandler>(call);
      handler->on_message = script_;
      {
        MutexLock lock(mu_);
        handlers_.push_back(handler);
      }
      call->Read();
      return handler;
    });
    ASSERT_TRUE(started.ok()) << started.status().ToString();
    server_ = std::move(started).value();
  }

  std::shared_ptr<ScriptedHandler> AwaitHandler() {
    for (int i = 0; i < 500; ++i) {
      {
        MutexLock lock(mu_);
        if (!handlers_.empty()) {
          return handlers_.back();
        }
      }
      std::this_thread::sleep_for(milliseconds(10));
    }
    return nullptr;
  }

  std::function<void(Call&, Message)> script_ = [](Call& call, Message message) {
    call.Send(std::move(message));
    call.Finish(Status());
  };
  std::unique_ptr<Server> server_;
  Mutex mu_;
  std::vector<std::shared_ptr<ScriptedHandler>> handlers_ GUARDED_BY(mu_);
};

const std::string kGet = "GET /x HTTP/1.1\r\nhost: h\r\n\r\n";

TEST_F(ServerTest, TheHandlerSeesTheHeadAndTheBody) {
  Head head;
  std::string body;
  script_ = [&](Call& call, Message message) {
    head = call.head();
    for (const Slice& piece : message) {
      body += piece.view();
    }
    call.AddHeader("x-answer", "yes");
    call.Send({Slice::Own("first "), Slice::Own("second")});
    call.Send({Slice::Own(" third")});
    call.Finish(Status());
  };
  Start();
  Client client(server_->port());
  client.Send("POST /a/b?c=d HTTP/1.1\r\nHost: some.where:80\r\nX-Name: value\r\ncontent-length: 4\r\n\r\nbody");
  const std::string answer = client.ReceiveUntil("third");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 200 OK\r\n")) << answer;
  EXPECT_NE(answer.find("x-answer: yes\r\n"), std::string::npos);
  EXPECT_NE(answer.find("content-length: 18\r\n"), std::string::npos);
  EXPECT_TRUE(answer.ends_with("\r\n\r\nfirst second third"));
  EXPECT_EQ(AwaitHandler()->AwaitClose(), static_cast<int>(StatusCode::kOk));
  EXPECT_EQ(head.method, "POST");
  EXPECT_EQ(head.path, "/a/b?c=d");
  EXPECT_EQ(head.authority, "some.where:80");
  EXPECT_EQ(head.Get("x-name"), "value");
  EXPECT_EQ(head.Get("x-other"), "");
  EXPECT_TRUE(head.peer.starts_with("ipv4:127.0.0.1:")) << head.peer;
  EXPECT_FALSE(head.grpc);
  EXPECT_FALSE(head.tls);
  EXPECT_EQ(head.timeout, std::nullopt);
  EXPECT_EQ(body, "body");
}

TEST_F(ServerTest, NoHandlerIsNotFound) {
  Start();
  Client client(server_->port());
  client.Send("GET /nothing HTTP/1.1\r\nhost: h\r\n\r\n");
  const std::string answer = client.ReceiveUntil("nothing at");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 404 ")) << answer;
}

TEST_F(ServerTest, AnErrorIsItsHttpStatusAndText) {
  script_ = [](Call& call, Message) { call.Finish(FailedPrecondition("not now")); };
  Start();
  Client client(server_->port());
  client.Send(kGet);
  const std::string answer = client.ReceiveUntil("not now\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
}

TEST_F(ServerTest, AnswersFromOtherThreads) {
  std::vector<std::thread> threads;
  script_ = [&threads](Call& call, Message) {
    threads.emplace_back([&call] {
      call.Send({Slice::Own("later")});
      call.Finish(Status());
    });
  };
  Start();
  Client client(server_->port());
  for (int i = 0; i < 100; ++i) {
    client.Send(kGet);
    ASSERT_TRUE(client.ReceiveUntil("later").ends_with("later")) << i;
  }
  server_->Stop(milliseconds(1000));
  for (auto& thread : threads) {
    thread.join();
  }
}

TEST_F(ServerTest, PiecesAreReleasedOnceSent) {
  auto owner = std::make_shared<int>(0);
  const std::weak_ptr<int> watched = owner;
  static const std::string kText(300'000, 't');
  script_ = [&owner](Call& call, Message) {
    call.Send({Slice(reinterpret_cast<const uint8_t*>(kText.data()), kText.size(), std::exchange(owner, nullptr))});
    call.Finish(Status());
  };
  Start();
  Client client(server_->port());
  client.Send("GET /x HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n");
  EXPECT_GT(client.ReceiveAll().size(), kText.size());
  server_->Stop(milliseconds(1000));
  EXPECT_TRUE(watched.expired());
}

TEST_F(ServerTest, ADeadlineEndsTheCall) {
  script_ = [](Call&, Message) {};
  Start();
  Client client(server_->port());
  const auto started = steady_clock::now();
  client.Send("GET /x HTTP/1.1\r\nhost: h\r\ngrpc-timeout: 200m\r\n\r\n");
  const std::string answer = client.ReceiveUntil("Deadline Exceeded\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 504 ")) << answer;
  EXPECT_GE(steady_clock::now() - started, milliseconds(200));
  EXPECT_EQ(AwaitHandler()->AwaitClose(), static_cast<int>(StatusCode::kDeadlineExceeded));
}

TEST_F(ServerTest, ADeadlineEndsAnAnswerThatIsNotRead) {
  static const std::string kText(50'000'000, 't');
  script_ = [](Call& call, Message) {
    call.Send({Slice(reinterpret_cast<const uint8_t*>(kText.data()), kText.size(), nullptr)});
    call.Finish(Status());
  };
  Start();
  Client client(server_->port());
  client.Send("GET /x HTTP/1.1\r\nhost: h\r\ngrpc-timeout: 300m\r\n\r\n");
  EXPECT_EQ(AwaitHandler()->AwaitClose(), static_cast<int>(StatusCode::kDeadlineExceeded));
  EXPECT_LT(client.ReceiveAll().size(), kText.size());
}

TEST_F(ServerTest, AClientThatGoesAwayCancels) {
  script_ = [](Call&, Message) {};
  Start();
  Client client(server_->port());
  client.Send(kGet);
  const auto handler = AwaitHandler();
  ASSERT_NE(handler, nullptr);
  client.Close();
  EXPECT_EQ(handler->AwaitClose(), static_cast<int>(StatusCode::kCancelled));
}

TEST_F(ServerTest, AfterTheCloseACallDoesNothing) {
  script_ = [](Call&, Message) {};
  Start();
  Client client(server_->port());
  client.Send(kGet);
  const auto handler = AwaitHandler();
  ASSERT_NE(handler, nullptr);
  client.Close();
  EXPECT_EQ(handler->AwaitClose(), static_cast<int>(StatusCode::kCancelled));
  for (const bool server_gone : {false, true}) {
    if (server_gone) {
      server_.reset();
    }
    auto owner = std::make_shared<int>(0);
    const std::weak_ptr<int> watched = owner;
    EXPECT_EQ(handler->call().Send({Slice(nullptr, 0, std::move(owner))}), 0u);
    EXPECT_TRUE(watched.expired());
    handler->call().Read();
    handler->call().Finish(Status());
    EXPECT_EQ(handler->call().Waiting(), 0u);
  }
}

TEST_F(ServerTest, StopWaitsForCallsAndRefusesNewOnes) {
  std::atomic<bool> release{false};
  std::vector<std::thread> threads;
  script_ = [&](Call& call, Message) {
    threads.emplace_back([&call, &release] {
      while (!release) {
        std::this_thread::sleep_for(milliseconds(5));
      }
      call.Send({Slice::Own("finished")});
      call.Finish(Status());
    });
  };
  Start();
  const uint16_t port = server_->port();
  Client client(port);
  client.Send(kGet);
  ASSERT_NE(AwaitHandler(), nullptr);
  std::thread stopping([this] { server_->Stop(milliseconds(5000)); });
  std::this_thread::sleep_for(milliseconds(300));
  EXPECT_FALSE(Client(port).connected());
  release = true;
  EXPECT_TRUE(client.ReceiveUntil("finished").ends_with("finished"));
  stopping.join();
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(AwaitHandler()->AwaitClose(), static_cast<int>(StatusCode::kOk));
}

TEST_F(ServerTest, StopCutsWhatDoesNotEnd) {
  script_ = [](Call&, Message) {};
  Start();
  Client client(server_->port());
  client.Send(kGet);
  const auto handler = AwaitHandler();
  ASSERT_NE(handler, nullptr);
  const auto started = steady_clock::now();
  server_->Stop(milliseconds(200));
  const auto took = steady_clock::now() - started;
  EXPECT_GE(took, milliseconds(200));
  EXPECT_LT(took, milliseconds(2000));
  EXPECT_EQ(handler->AwaitClose(), static_cast<int>(StatusCode::kCancelled));
}

TEST(ServerStartTest, ATakenPortIsUnavailable) {
  const auto nobody = [](std::shared_ptr<Call>) -> std::shared_ptr<Handler> { return nullptr; };
  ServerOptions options;
  options.listen = "127.0.0.1:0";
  auto first = Server::Start(options, nobody);
  ASSERT_TRUE(first.ok());
  options.listen = "127.0.0.1:" + std::to_string((*first)->port());
  const auto second = Server::Start(options, nobody);
  EXPECT_EQ(second.status().code(), StatusCode::kUnavailable);
  EXPECT_NE(second.status().message().find(options.listen), std::string_view::npos) << second.status().ToString();
}

TEST(ServerStartTest, BadOptionsAreInvalid) {
  const auto nobody = [](std::shared_ptr<Call>) -> std::shared_ptr<Handler> { return nullptr; };
  ServerOptions pem;
  pem.listen = "127.0.0.1:0";
  pem.cert_pem = "no certificate";
  EXPECT_EQ(Server::Start(pem, nobody).status().code(), StatusCode::kInvalidArgument);
  ServerOptions key_only;
  key_only.listen = "127.0.0.1:0";
  key_only.key_pem = "a key";
  EXPECT_EQ(Server::Start(key_only, nobody).status().code(), StatusCode::kInvalidArgument);
  ServerOptions frame;
  frame.listen = "127.0.0.1:0";
  frame.frame_max_bytes = 100;
  EXPECT_EQ(Server::Start(frame, nobody).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow::net
