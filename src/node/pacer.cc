#include "node/pacer.h"

namespace longbow::node {

void Pacer::ReadLater(const std::shared_ptr<net::Call>& call, std::chrono::nanoseconds wait) {
  {
    MutexLock lock(mu_);
    if (stopping_) {
      return;
    }
    if (!thread_.joinable()) {
      thread_ = std::thread([this] { Run(); });
    }
    waiting_.push({Clock::now() + wait, call});
  }
  changed_.NotifyOne();
}

void Pacer::Stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Pacer::Run() {
  while (true) {
    std::shared_ptr<net::Call> due;
    {
      MutexLock lock(mu_);
      while (!stopping_ && (waiting_.empty() || waiting_.top().at > Clock::now())) {
        if (waiting_.empty()) {
          changed_.Wait(mu_);
        } else {
          changed_.WaitUntil(mu_, waiting_.top().at);
        }
      }
      if (stopping_) {
        return;
      }
      due = waiting_.top().call.lock();
      waiting_.pop();
    }
    if (due != nullptr) {
      due->Read();
    }
  }
}

}  // namespace longbow::node
