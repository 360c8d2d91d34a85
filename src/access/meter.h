// How much a key, or all keys of a namespace together, may ask for.
#pragma once

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "access/key.h"
#include "access/token_bucket.h"
#include "base/status.h"

namespace longbow::access {

// Rates and calls of one of them. Thread safe; the rates may be changed while it is in use. 100 bytes.
class Meter {
 public:
  using Clock = TokenBucket::Clock;

  explicit Meter(std::string whose) : whose_(std::move(whose)) {}

  // A burst of 0: what comes in a second, and at least one call.
  void SetRates(const Rates& rates, double burst_requests = 0);
  void SetCallsMax(uint64_t most) { calls_max_.store(most, std::memory_order_relaxed); }

  bool HasRates() const {
    return requests_per_second_.load(std::memory_order_relaxed) > 0 ||
           bytes_per_second_.load(std::memory_order_relaxed) > 0;
  }

  // One more call; OK has to be given back by CloseCall. RESOURCE_EXHAUSTED names whose limit it is and ends with
  // "retry in N ms".
  Status OpenCall(Clock::time_point now);
  void CloseCall() { calls_open_.fetch_sub(1, std::memory_order_relaxed); }
  uint64_t calls_open() const { return calls_open_.load(std::memory_order_relaxed); }

  // What a call that goes on has used. Returns how long the next piece of it should wait.
  std::chrono::nanoseconds Use(double requests, double bytes, Clock::time_point now);

 private:
  const std::string whose_;
  std::atomic<double> requests_per_second_{0};
  std::atomic<double> burst_requests_{0};
  std::atomic<double> bytes_per_second_{0};
  std::atomic<uint64_t> calls_max_{0};  // 0: no limit
  std::atomic<uint64_t> calls_open_{0};
  TokenBucket requests_;
  TokenBucket bytes_;
};

// The meters that one call runs past: of the node, of its key, of the key's namespace. Counts the call as open as long
// as it lives.
class OpenCall {
 public:
  // Takes from all, or from none: RESOURCE_EXHAUSTED. Null pointers are left out.
  static Result<std::unique_ptr<OpenCall>> Make(std::vector<std::shared_ptr<Meter>> meters);
  ~OpenCall();
  OpenCall(const OpenCall&) = delete;
  OpenCall& operator=(const OpenCall&) = delete;

  // Whether what it uses has to be counted.
  bool HasRates() const;
  // The longest that one of the meters wants the call to wait.
  std::chrono::nanoseconds Use(double requests, double bytes);

 private:
  OpenCall() = default;
  std::vector<std::shared_ptr<Meter>> open_;
};

}  // namespace longbow::access
