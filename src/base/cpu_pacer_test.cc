#include "base/cpu_pacer.h"

#include <gtest/gtest.h>
#include <time.h>

#include <chrono>

namespace longbow {
namespace {

using Clock = std::chrono::steady_clock;

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

void Work(double seconds) {
  for (const double end = CpuSeconds() + seconds; CpuSeconds() < end;) {
  }
}

TEST(CpuPacerTest, LeavesTheRestOfTheTime) {
  CpuPacer pacer(25);
  const auto started = Clock::now();
  for (int i = 0; i < 20; ++i) {
    Work(0.002);
    pacer.Rest(nullptr);
  }
  const std::chrono::duration<double> took = Clock::now() - started;
  EXPECT_GE(took.count(), 0.9 * 0.04 * 4);  // a machine at work only makes it longer
}

TEST(CpuPacerTest, AllOfTheTimeIsNoRest) {
  CpuPacer pacer(100);
  Work(0.05);
  const double before = CpuSeconds();
  const auto started = Clock::now();
  for (int i = 0; i < 100; ++i) {
    pacer.Rest(nullptr);
  }
  EXPECT_LT(CpuSeconds() - before, 0.01);
  EXPECT_LT(Clock::now() - started, std::chrono::seconds(1));
}

TEST(CpuPacerTest, EndsWhenCancelled) {
  CpuPacer pacer(1);
  Work(0.1);  // ten seconds of rest
  Cancellation cancellation(Clock::now() + std::chrono::milliseconds(50));
  const auto started = Clock::now();
  pacer.Rest(&cancellation);
  EXPECT_LT(Clock::now() - started, std::chrono::seconds(3));
}

}  // namespace
}  // namespace longbow
