// Deadline and cancellation of one request, checked inside loops.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

#include "base/status.h"

namespace longbow {

// Shared between the thread that cancels and those that work. Thread safe.
// Check() reads an atomic and, every call, the steady clock if there is a deadline: call it once per some hundred
// steps.
class Cancellation {
 public:
  using Clock = std::chrono::steady_clock;

  Cancellation() = default;
  explicit Cancellation(std::optional<Clock::time_point> deadline) : deadline_(deadline) {}

  void Cancel() { cancelled_.store(true, std::memory_order_relaxed); }
  bool cancelled() const { return cancelled_.load(std::memory_order_relaxed); }
  std::optional<Clock::time_point> deadline() const { return deadline_; }

  // OK, CANCELLED or DEADLINE_EXCEEDED.
  Status Check() const {
    if (cancelled()) {
      return Cancelled("the caller cancelled the request");
    }
    if (deadline_ && Clock::now() >= *deadline_) {
      return DeadlineExceeded("Deadline exceeded");
    }
    return {};
  }

 private:
  std::atomic<bool> cancelled_{false};
  const std::optional<Clock::time_point> deadline_;
};

// Whether work that may have a cancellation (or null) is to end.
inline bool IsCancelled(const Cancellation* cancellation) {
  return cancellation != nullptr && !cancellation->Check().ok();
}

}  // namespace longbow
