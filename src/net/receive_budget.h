// How many received bytes all calls of a server together may hold: the memory that strangers can make us use.
#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <vector>

#include "base/mutex.h"

namespace longbow::net {

// Thread safe. Lives as long as any byte received by its server.
class ReceiveBudget {
 public:
  // Told that there is room again. On the thread that released the bytes: do little.
  class Waiter {
   public:
    virtual ~Waiter() = default;
    virtual void OnRoom() = 0;
  };

  explicit ReceiveBudget(size_t bytes_max) : bytes_max_(bytes_max) {}

  void Add(size_t bytes) { held_.fetch_add(bytes, std::memory_order_relaxed); }
  void Release(size_t bytes);
  bool full() const { return held() >= bytes_max_; }
  size_t held() const { return held_.load(std::memory_order_seq_cst); }
  size_t bytes_max() const { return bytes_max_; }
  // OnRoom once, as soon as the budget is not full; perhaps before this returns.
  void Await(std::weak_ptr<Waiter> waiter);

 private:
  void WakeAll();

  const size_t bytes_max_;
  std::atomic<size_t> held_{0};
  std::atomic<bool> awaited_{false};
  Mutex mu_;
  std::vector<std::weak_ptr<Waiter>> waiters_ GUARDED_BY(mu_);
};

// Bytes held, until destroyed.
class Charge {
 public:
  Charge(std::shared_ptr<ReceiveBudget> budget, size_t bytes) : budget_(std::move(budget)), bytes_(bytes) {
    budget_->Add(bytes_);
  }
  ~Charge() { budget_->Release(bytes_); }
  Charge(const Charge&) = delete;
  Charge& operator=(const Charge&) = delete;

 private:
  const std::shared_ptr<ReceiveBudget> budget_;
  const size_t bytes_;
};

}  // namespace longbow::net
