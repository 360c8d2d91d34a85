#include "access/meter.h"

#include <gtest/gtest.h>

#include <thread>

namespace longbow::access {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

const Meter::Clock::time_point kStart{seconds(1'000)};

TEST(TokenBucket, GivesABurstThenTheRate) {
  TokenBucket bucket;
  int given = 0;
  while (bucket.Take(1, 10, 5, kStart).count() == 0) {
    ++given;
  }
  EXPECT_EQ(given, 5);
  EXPECT_EQ(bucket.Take(1, 10, 5, kStart), milliseconds(100)) << "one token, at ten a second";
  for (int tenth = 1; tenth <= 100; ++tenth) {
    const auto now = kStart + milliseconds(100 * tenth);
    EXPECT_EQ(bucket.Take(1, 10, 5, now).count(), 0) << tenth;
    EXPECT_GT(bucket.Take(1, 10, 5, now).count(), 0) << tenth;
  }
  given = 0;
  while (bucket.Take(1, 10, 5, kStart + seconds(1'000)).count() == 0) {
    ++given;
  }
  EXPECT_EQ(given, 5) << "rest is not saved up beyond a burst";
}

TEST(TokenBucket, LetsMoreThanABurstThroughAndOwesIt) {
  TokenBucket bucket;
  EXPECT_EQ(bucket.Take(1'000, 100, 100, kStart).count(), 0);
  const auto wait = bucket.Take(1, 100, 100, kStart);
  EXPECT_GT(wait, seconds(9) - milliseconds(1));
  EXPECT_LT(wait, seconds(9) + milliseconds(20));
  EXPECT_EQ(bucket.Take(1, 100, 100, kStart + wait).count(), 0) << "the hint is enough";
}

TEST(TokenBucket, WithoutARateThereIsNoLimit) {
  TokenBucket bucket;
  for (int i = 0; i < 100'000; ++i) {
    ASSERT_EQ(bucket.Take(1e9, 0, 0, kStart).count(), 0);
  }
}

TEST(TokenBucket, ThreadsTogetherGetWhatThereIs) {
  TokenBucket bucket;
  std::atomic<int> given{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int j = 0; j < 1'000; ++j) {
        given += bucket.Take(1, 1, 100, kStart).count() == 0 ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(given.load(), 100);
}

TEST(Meter, RefusesWithAHintThatIsEnough) {
  Meter meter("key k1");
  meter.SetRates({.requests_per_second = 4, .bytes_per_second = 1000});
  for (int i = 0; i < 4; ++i) {
    ASSERT_TRUE(meter.OpenCall(kStart).ok()) << i;
    meter.CloseCall();
  }
  const Status refused = meter.OpenCall(kStart);
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_EQ(refused.message(), "rate limit exceeded: key k1 may make 4 requests per second; retry in 250 ms");
  EXPECT_TRUE(meter.OpenCall(kStart + milliseconds(250)).ok());
  EXPECT_EQ(meter.calls_open(), 1u);
}

TEST(Meter, BytesThatWereMovedCountForTheNext) {
  Meter meter("namespace a");
  meter.SetRates({.requests_per_second = 0, .bytes_per_second = 1000});
  ASSERT_TRUE(meter.OpenCall(kStart).ok());
  EXPECT_EQ(meter.Use(0, 500, kStart).count(), 0);
  EXPECT_GT(meter.Use(0, 2'500, kStart), seconds(1)) << "a stream waits";
  EXPECT_NE(meter.OpenCall(kStart).message().find("1000 bytes per second"), std::string_view::npos);
  EXPECT_TRUE(meter.OpenCall(kStart + seconds(3)).ok());
}

TEST(OpenCall, IsCountedInAllMetersOrInNone) {
  const auto wide = std::make_shared<Meter>("the node"), narrow = std::make_shared<Meter>("key k1");
  narrow->SetCallsMax(1);
  {
    const auto first = OpenCall::Make({wide, nullptr, narrow});
    ASSERT_TRUE(first.ok());
    const auto second = OpenCall::Make({wide, nullptr, narrow});
    EXPECT_EQ(second.status().code(), StatusCode::kResourceExhausted);
    EXPECT_EQ(second.status().message(), "key k1 has 1 calls open, its limit; retry in 100 ms");
    EXPECT_EQ(wide->calls_open(), 1u);
  }
  EXPECT_EQ(wide->calls_open(), 0u);
  EXPECT_TRUE(OpenCall::Make({wide, narrow}).ok());
}

}  // namespace
}  // namespace longbow::access
