#include "node/metered_call.h"

namespace longbow::node {

void MeteredCall::Read() {
  // The first message is paid for with the call.
  const bool first = !read_first_.exchange(true, std::memory_order_relaxed);
  const std::chrono::nanoseconds wait = first ? std::chrono::nanoseconds(0) : open_->Use(0, 0);
  if (wait.count() > 0) {
    pacer_.ReadLater(call_, wait);
  } else {
    call_->Read();
  }
}

size_t MeteredCall::Send(net::Message message) {
  open_->Use(0, static_cast<double>(TotalSize(message)));
  return call_->Send(std::move(message));
}

void MeteredHandler::OnMessage(net::Message message) {
  open_->Use(got_first_ ? 1 : 0, static_cast<double>(TotalSize(message)));
  got_first_ = true;
  handler_->OnMessage(std::move(message));
}

}  // namespace longbow::node
