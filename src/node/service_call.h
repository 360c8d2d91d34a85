// Base of our handlers: one call with its cancellation, its end and its measurements.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <type_traits>

#include "base/cancellation.h"
#include "net/net.h"
#include "node/services.h"

namespace longbow::node {

// Transport callbacks only hand work to a pool and return; the work holds a shared pointer to the call. Whoever reads
// on keeps the order: a handler asks for the next message when it is done with the last.
class ServiceCall : public net::Handler, public std::enable_shared_from_this<ServiceCall> {
 public:
  ServiceCall(std::shared_ptr<net::Call> call, const Services& services, const std::string& action);
  // Asks for the first message; called once the transport knows the handler.
  virtual void Start() { call_->Read(); }
  void OnClose(StatusCode code) override;

 protected:
  // Runs `work` on the pool, where clients take turns; ends the call with RESOURCE_EXHAUSTED if its queue is full, or
  // if this is new work of a client whose older work has waited too long already; with UNAUTHENTICATED if the
  // caller's key does not hold any more.
  void RunOn(ThreadPool& pool, std::function<void()> work);
  // Queues `work` unless the caller's key does not hold any more: UNAUTHENTICATED. Errors of the pool.
  Status Submit(ThreadPool& pool, std::function<void()> work);
  // Ends the call, once; later ends are ignored.
  void End(const Status& status);
  bool ended() const { return ended_.load(std::memory_order_acquire); }
  net::Call& call() { return *call_; }
  Services& services() { return services_; }
  const Cancellation* cancellation() const { return &cancellation_; }

 private:
  Status AdmitByAge(const ThreadPool& pool);

  const std::shared_ptr<net::Call> call_;
  Services services_;
  CallMetrics& metrics_;
  const std::chrono::steady_clock::time_point started_ = std::chrono::steady_clock::now();
  const ThreadPool::Flow flow_;     // of the caller's key, or else of the connection
  std::atomic<bool> begun_{false};  // some work was queued
  Cancellation cancellation_;
  std::atomic<bool> ended_{false};
};

// A call with one request message: runs Handle with it on a pool.
class UnaryCall final : public ServiceCall {
 public:
  // Sends its answers through `call` and returns how the call ends.
  using Answer = Status (*)(Services& services, net::Call& call, const std::string& request,
                            const Cancellation* cancellation);
  using Work = std::function<std::remove_pointer_t<Answer>>;
  UnaryCall(std::shared_ptr<net::Call> call, const Services& services, const std::string& action, ThreadPool& pool,
            Work work);

  void OnMessage(net::Message message) override;
  void OnEnd() override;

 private:
  ThreadPool& pool_;
  const Work work_;
  bool got_request_ = false;  // transport callbacks only
};

// The pieces of a message as one string; for small messages.
std::string Joined(const net::Message& message);

}  // namespace longbow::node
