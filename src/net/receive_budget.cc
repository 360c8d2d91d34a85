#include "net/receive_budget.h"

#include <utility>

namespace longbow::net {

// Either this sees the waiter, or the waiter's second look in Await sees the room: both sides write before they read.
void ReceiveBudget::Release(size_t bytes) {
  held_.fetch_sub(bytes, std::memory_order_seq_cst);
  if (awaited_.load(std::memory_order_seq_cst) && !full()) {
    WakeAll();
  }
}

void ReceiveBudget::Await(std::weak_ptr<Waiter> waiter) {
  {
    MutexLock lock(mu_);
    waiters_.push_back(std::move(waiter));
    awaited_.store(true, std::memory_order_seq_cst);
  }
  if (!full()) {
    WakeAll();
  }
}

void ReceiveBudget::WakeAll() {
  std::vector<std::weak_ptr<Waiter>> waiters;
  {
    MutexLock lock(mu_);
    waiters.swap(waiters_);
    awaited_.store(false, std::memory_order_seq_cst);
  }
  for (const auto& weak : waiters) {
    if (const auto waiter = weak.lock()) {
      waiter->OnRoom();
    }
  }
}

}  // namespace longbow::net
