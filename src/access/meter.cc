#include "access/meter.h"

#include <algorithm>
#include <cmath>
#include <utility>

namespace longbow::access {
namespace {

constexpr int64_t kCallsRetryMs = 100;

std::string RetryIn(std::chrono::nanoseconds wait) {
  return "; retry in " + std::to_string(std::chrono::ceil<std::chrono::milliseconds>(wait).count()) + " ms";
}

std::string NumberText(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  return text.ends_with('.') ? text.substr(0, text.size() - 1) : text;
}

}  // namespace

void Meter::SetRates(const Rates& rates, double burst_requests) {
  requests_per_second_.store(rates.requests_per_second, std::memory_order_relaxed);
  burst_requests_.store(std::max(1.0, burst_requests > 0 ? burst_requests : rates.requests_per_second),
                        std::memory_order_relaxed);
  bytes_per_second_.store(rates.bytes_per_second, std::memory_order_relaxed);
}

Status Meter::OpenCall(Clock::time_point now) {
  const uint64_t most = calls_max_.load(std::memory_order_relaxed);
  if (calls_open_.fetch_add(1, std::memory_order_relaxed) >= most && most > 0) {
    CloseCall();
    return ResourceExhausted(whose_ + " has " + std::to_string(most) + " calls open, its limit" +
                             RetryIn(std::chrono::milliseconds(kCallsRetryMs)));
  }
  const double bytes_per_second = bytes_per_second_.load(std::memory_order_relaxed);
  if (const auto wait = bytes_.Take(0, bytes_per_second, bytes_per_second, now); wait.count() > 0) {
    CloseCall();
    return ResourceExhausted("rate limit exceeded: " + whose_ + " may move " + NumberText(bytes_per_second) +
                             " bytes per second" + RetryIn(wait));
  }
  const double requests_per_second = requests_per_second_.load(std::memory_order_relaxed);
  const auto wait = requests_.Take(1, requests_per_second, burst_requests_.load(std::memory_order_relaxed), now);
  if (wait.count() > 0) {
    CloseCall();
    return ResourceExhausted("rate limit exceeded: " + whose_ + " may make " + NumberText(requests_per_second) +
                             " requests per second" + RetryIn(wait));
  }
  return {};
}

std::chrono::nanoseconds Meter::Use(double requests, double bytes, Clock::time_point now) {
  const double requests_per_second = requests_per_second_.load(std::memory_order_relaxed);
  const double bytes_per_second = bytes_per_second_.load(std::memory_order_relaxed);
  requests_.Charge(requests, requests_per_second, now);
  bytes_.Charge(bytes, bytes_per_second, now);
  return std::max(requests_.Take(0, requests_per_second, burst_requests_.load(std::memory_order_relaxed), now),
                  bytes_.Take(0, bytes_per_second, bytes_per_second, now));
}

Result<std::unique_ptr<OpenCall>> OpenCall::Make(std::vector<std::shared_ptr<Meter>> meters) {
  std::unique_ptr<OpenCall> call(new OpenCall());
  const auto now = Meter::Clock::now();
  for (std::shared_ptr<Meter>& meter : meters) {
    if (meter != nullptr) {
      LB_TRY(meter->OpenCall(now));
      call->open_.push_back(std::move(meter));
    }
  }
  return call;
}

bool OpenCall::HasRates() const {
  return std::any_of(open_.begin(), open_.end(), [](const auto& meter) { return meter->HasRates(); });
}

OpenCall::~OpenCall() {
  for (const std::shared_ptr<Meter>& meter : open_) {
    meter->CloseCall();
  }
}

std::chrono::nanoseconds OpenCall::Use(double requests, double bytes) {
  std::chrono::nanoseconds longest{0};
  const auto now = Meter::Clock::now();
  for (const std::shared_ptr<Meter>& meter : open_) {
    longest = std::max(longest, meter->Use(requests, bytes, now));
  }
  return longest;
}

}  // namespace longbow::access
