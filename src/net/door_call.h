// net::Call on the C ABI of door.h: gRPC framing and status, or a plain HTTP request and answer.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <string>

#include "base/mutex.h"
#include "net/door.h"
#include "net/message_assembler.h"
#include "net/net.h"
#include "net/receive_budget.h"

namespace longbow::net {

// Lives until the transport closed it and the handler let go of it. The On... functions are the transport's: one at a
// time, on the connection's thread. Everything else may be called by any thread.
class DoorCall final : public Call, public ReceiveBudget::Waiter, public std::enable_shared_from_this<DoorCall> {
 public:
  // Takes over `call`. The request is read during the constructor only. `calls_open` counts this one from here to the
  // end of OnClose.
  DoorCall(door_call* call, const door_request& request, size_t message_max_bytes,
           std::shared_ptr<ReceiveBudget> budget, std::atomic<size_t>& calls_open);
  ~DoorCall() override { door_call_free(call_); }

  // Asks the factory for a handler, or answers by itself if the request is none for a handler.
  void Begin(const HandlerFactory& factory);

  const Head& head() const override { return head_; }
  void Read() override { door_call_read(call_); }
  void AddHeader(std::string name, std::string value) override;
  size_t Send(Message message) override;
  size_t Waiting() const override { return door_call_waiting(call_); }
  using Call::Finish;
  void Finish(Outcome outcome) override;

  int OnRead();
  int OnData(const uint8_t* data, size_t size, const door_bytes* bytes);
  void OnEnd();
  void OnDrain();
  void OnDeadline();
  void OnClose(int why);
  void OnRoom() override { door_call_read(call_); }

 private:
  // Delivers what a Read asks for if it is there. DOOR_WANTS_BYTES if not.
  int Deliver();
  int Fail(Status status);
  size_t SendGrpc(Message message) REQUIRES(mu_);
  void FinishGrpc(const Outcome& outcome) REQUIRES(mu_);
  void FinishPlain(const Outcome& outcome) REQUIRES(mu_);

  door_call* const call_;
  const std::shared_ptr<ReceiveBudget> budget_;
  std::atomic<size_t>& calls_open_;  // valid until OnClose has returned
  Head head_;                        // constant after Begin

  // Touched on the connection's thread only.
  MessageAssembler assembler_;
  std::shared_ptr<Handler> handler_;
  std::shared_ptr<DoorCall> self_;  // from Begin to OnClose
  bool message_delivered_ = false;
  bool end_delivered_ = false;
  bool late_ = false;

  Mutex mu_;
  Headers answer_headers_ GUARDED_BY(mu_);
  Message body_ GUARDED_BY(mu_);  // of a plain answer: it is sent whole, so that its length stands in the head
  bool head_sent_ GUARDED_BY(mu_) = false;
  bool finished_ GUARDED_BY(mu_) = false;
};

}  // namespace longbow::net
