#include "bin/stop_signals.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <future>

namespace longbow::bin {
namespace {

TEST(StopSignals, FirstSignalIsACall) {
  for (const int signal : {SIGTERM, SIGINT}) {
    Result<StopSignals> blocked = StopSignals::Block();
    ASSERT_TRUE(blocked.ok()) << blocked.status().ToString();
    StopSignals signals = *std::move(blocked);
    std::promise<int> stopped;
    signals.Watch([&](int number) { stopped.set_value(number); });
    kill(getpid(), signal);
    EXPECT_EQ(stopped.get_future().get(), signal);
  }
}

TEST(StopSignals, EndsWithoutASignal) {
  Result<StopSignals> blocked = StopSignals::Block();
  ASSERT_TRUE(blocked.ok());
  StopSignals signals = *std::move(blocked);
  signals.Watch([](int) { FAIL() << "nobody sent a signal"; });
}

TEST(StopSignalsDeathTest, SecondSignalEndsTheProcess) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        Result<StopSignals> blocked = StopSignals::Block();
        StopSignals signals = *std::move(blocked);
        std::promise<void> draining;
        signals.Watch([&](int) { draining.set_value(); });
        kill(getpid(), SIGTERM);
        draining.get_future().wait();
        kill(getpid(), SIGTERM);
        pause();
      },
      testing::KilledBySignal(SIGTERM), "");
}

TEST(StopSignals, ABrokenPipeIsAnErrorOfTheWrite) {
  const Result<StopSignals> blocked = StopSignals::Block();
  ASSERT_TRUE(blocked.ok());
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  close(ends[0]);
  EXPECT_EQ(write(ends[1], "x", 1), -1);
  EXPECT_EQ(errno, EPIPE);
  close(ends[1]);
}

}  // namespace
}  // namespace longbow::bin
