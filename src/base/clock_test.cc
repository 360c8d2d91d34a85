#include "base/clock.h"

#include <gtest/gtest.h>

namespace longbow {
namespace {

TEST(Clock, RealClockGoesForwardAndKnowsTheCentury) {
  const auto before = RealClock().SteadyNow();
  EXPECT_GT(RealClock().WallNowNs(), 1'600'000'000'000'000'000);
  EXPECT_LT(RealClock().WallNowNs(), 4'000'000'000'000'000'000);
  EXPECT_GE(RealClock().SteadyNow(), before);
}

TEST(Clock, FakeClockMovesOnlyWhenTold) {
  FakeClock clock(1000);
  const auto before = clock.SteadyNow();
  EXPECT_EQ(clock.WallNowNs(), 1000);
  EXPECT_EQ(clock.SteadyNow(), before);
  clock.Advance(std::chrono::microseconds(2));
  EXPECT_EQ(clock.WallNowNs(), 3000);
  EXPECT_EQ(clock.SteadyNow() - before, std::chrono::nanoseconds(2000));
}

}  // namespace
}  // namespace longbow
