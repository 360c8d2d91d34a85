// A call whose messages and bytes are counted against rates.
#pragma once

#include <atomic>
#include <memory>
#include <string>

#include "access/meter.h"
#include "net/net.h"
#include "node/pacer.h"

namespace longbow::node {

// Stands between the transport and a handler, which knows nothing of it. A call that has used more than its rates allow
// is not ended, it reads on later; only new calls are refused (access::OpenCall::Make).
class MeteredCall final : public net::Call {
 public:
  MeteredCall(std::shared_ptr<net::Call> call, std::shared_ptr<access::OpenCall> open, Pacer& pacer)
      : call_(std::move(call)), open_(std::move(open)), pacer_(pacer) {}

  const net::Head& head() const override { return call_->head(); }
  void Read() override;
  void AddHeader(std::string name, std::string value) override { call_->AddHeader(std::move(name), std::move(value)); }
  size_t Send(net::Message message) override;
  size_t Waiting() const override { return call_->Waiting(); }
  using net::Call::Finish;
  void Finish(net::Outcome outcome) override { call_->Finish(std::move(outcome)); }

 private:
  const std::shared_ptr<net::Call> call_;
  const std::shared_ptr<access::OpenCall> open_;
  Pacer& pacer_;
  std::atomic<bool> read_first_{false};
};

// Counts what comes in, and passes it on. The first message is the call itself, which was counted when it began.
class MeteredHandler final : public net::Handler {
 public:
  MeteredHandler(std::shared_ptr<net::Handler> handler, std::shared_ptr<access::OpenCall> open)
      : handler_(std::move(handler)), open_(std::move(open)) {}

  void OnMessage(net::Message message) override;
  void OnEnd() override { handler_->OnEnd(); }
  void OnDrain() override { handler_->OnDrain(); }
  void OnClose(StatusCode code) override { handler_->OnClose(code); }

 private:
  const std::shared_ptr<net::Handler> handler_;
  const std::shared_ptr<access::OpenCall> open_;
  bool got_first_ = false;  // transport callbacks only
};

}  // namespace longbow::node
