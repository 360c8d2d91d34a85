// Time behind an interface, so that tests and simulations can hold it still or push it on.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>

namespace longbow {

// Thread safe.
class Clock {
 public:
  virtual ~Clock() = default;

  // Nanoseconds since 1970-01-01 UTC. May jump backwards when the machine's clock is set: for stamps, never for
  // waiting.
  virtual int64_t WallNowNs() = 0;
  // Never goes backwards: for deadlines and durations.
  virtual std::chrono::steady_clock::time_point SteadyNow() = 0;
};

// The machine's clocks. Lives as long as the process.
Clock& RealClock();

// Stands still until a test moves it.
class FakeClock final : public Clock {
 public:
  explicit FakeClock(int64_t wall_ns = 1'700'000'000'000'000'000) : wall_ns_(wall_ns) {}

  int64_t WallNowNs() override { return wall_ns_ + passed_ns_; }
  std::chrono::steady_clock::time_point SteadyNow() override {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(passed_ns_));
  }
  void Advance(std::chrono::nanoseconds step) { passed_ns_ += step.count(); }
  // As if somebody had set the machine's clock, forth or back.
  void JumpWall(std::chrono::nanoseconds step) { wall_ns_ += step.count(); }

 private:
  std::atomic<int64_t> wall_ns_;
  std::atomic<int64_t> passed_ns_{0};
};

}  // namespace longbow
