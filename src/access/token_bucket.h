// A rate with a burst: the token bucket, kept as the generic cell rate algorithm does (ITU-T I.371): one number, the
// time at which the bucket would be full again, and nothing that refills it.
#pragma once

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>

namespace longbow::access {

// Thread safe, without a lock. Rate and burst may change from call to call; 0 a second: no limit.
class TokenBucket {
 public:
  using Clock = std::chrono::steady_clock;

  // Takes `amount` tokens, and returns zero, if the bucket is not empty; else takes none and returns how long it will
  // be. An amount larger than what is there is owed: a call that costs more than a whole burst is possible, and what
  // comes after it waits the longer.
  std::chrono::nanoseconds Take(double amount, double per_second, double burst, Clock::time_point now) {
    if (per_second <= 0) {
      return {};
    }
    const int64_t now_ns = now.time_since_epoch().count();
    const int64_t burst_ns = NanosecondsOf(burst, per_second);
    int64_t full_at_ns = full_at_ns_.load(std::memory_order_relaxed);
    while (true) {
      const int64_t from_ns = std::max(full_at_ns, now_ns);
      if (from_ns - now_ns >= burst_ns) {
        // Until there is a whole token.
        const int64_t step_ns = std::max<int64_t>(1, std::min(burst_ns, NanosecondsOf(1, per_second)));
        return std::chrono::nanoseconds(from_ns - now_ns - burst_ns + step_ns);
      }
      const int64_t next_ns = from_ns + NanosecondsOf(amount, per_second);
      if (full_at_ns_.compare_exchange_weak(full_at_ns, next_ns, std::memory_order_relaxed)) {
        return {};
      }
    }
  }

  // Takes without asking: for what is known only afterwards.
  void Charge(double amount, double per_second, Clock::time_point now) {
    if (per_second <= 0 || amount <= 0) {
      return;
    }
    const int64_t now_ns = now.time_since_epoch().count();
    int64_t full_at_ns = full_at_ns_.load(std::memory_order_relaxed);
    while (!full_at_ns_.compare_exchange_weak(
        full_at_ns, std::max(full_at_ns, now_ns) + NanosecondsOf(amount, per_second), std::memory_order_relaxed)) {
    }
  }

 private:
  // At most an hour: nobody is shut out for longer, however slow the rate and however much he took.
  static int64_t NanosecondsOf(double amount, double per_second) {
    return static_cast<int64_t>(std::min(amount * 1e9 / per_second, 3.6e12));
  }

  std::atomic<int64_t> full_at_ns_{0};
};

}  // namespace longbow::access
