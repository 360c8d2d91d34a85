#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <future>

namespace longbow {
namespace {

TEST(ThreadPool, RunsEveryTaskBeforeStopReturns) {
  std::atomic<int> ran = 0;
  ThreadPool pool({.name = "count", .threads = 3, .queue_max = 1000});
  for (int i = 0; i < 1000; ++i) {
    const Status status = pool.Submit([&] { ++ran; });
    ASSERT_TRUE(status.ok()) << status.ToString();
  }
  pool.Stop();
  EXPECT_EQ(ran, 1000);
}

TEST(ThreadPool, FullQueueIsResourceExhausted) {
  std::promise<void> started, release;
  ThreadPool pool({.name = "full", .threads = 1, .queue_max = 2});
  ASSERT_TRUE(pool.Submit([&] {
                    started.set_value();
                    release.get_future().wait();
                  })
                  .ok());
  started.get_future().wait();
  std::atomic<int> ran = 0;
  EXPECT_TRUE(pool.Submit([&] { ++ran; }).ok());
  EXPECT_TRUE(pool.Submit([&] { ++ran; }).ok());
  EXPECT_EQ(pool.waiting(), 2u);
  const Status refused = pool.Submit([&] { ran += 100; });
  EXPECT_EQ(refused.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(refused.message().find("'full' has 2 tasks waiting"), std::string::npos) << refused.message();
  release.set_value();
  pool.Stop();
  EXPECT_EQ(ran, 2);
}

TEST(ThreadPool, NothingIsTakenAfterStop) {
  ThreadPool pool({.name = "stopped", .threads = 2});
  pool.Stop();
  pool.Stop();
  EXPECT_EQ(pool.Submit([] { FAIL() << "ran after Stop"; }).code(), StatusCode::kUnavailable);
}

TEST(ThreadPool, ThreadsCarryTheName) {
  std::promise<std::string> name;
  ThreadPool pool({.name = "a-name-longer-than-the-kernel-keeps", .threads = 1});
  ASSERT_TRUE(pool.Submit([&] {
                    char buffer[16] = {};
                    pthread_getname_np(pthread_self(), buffer, sizeof(buffer));
                    name.set_value(buffer);
                  })
                  .ok());
  EXPECT_EQ(name.get_future().get(), "a-name-longer-0");
}

TEST(ThreadPool, EachThreadCallsOnStartBeforeItsFirstTask) {
  std::atomic<uint32_t> started = 0;
  ThreadPool pool({.name = "start", .threads = 3, .on_start = [&](size_t number) { started |= 1u << number; }});
  std::atomic<uint32_t> seen = 0;
  ASSERT_TRUE(pool.Submit([&] { seen = started.load(); }).ok());
  pool.Stop();
  EXPECT_NE(seen.load(), 0u);
  EXPECT_EQ(started.load(), 7u) << "numbers 0, 1 and 2";
}

TEST(ThreadPool, ManySubmittersAndOneStop) {
  std::atomic<int> accepted = 0, ran = 0;
  ThreadPool pool({.name = "race", .threads = 4, .queue_max = 64});
  std::vector<std::thread> submitters;
  for (int thread = 0; thread < 4; ++thread) {
    submitters.emplace_back([&] {
      for (int i = 0; i < 2000; ++i) {
        accepted += pool.Submit([&] { ++ran; }).ok();
      }
    });
  }
  pool.Stop();
  for (std::thread& submitter : submitters) {
    submitter.join();
  }
  EXPECT_EQ(accepted, ran);
}

}  // namespace
}  // namespace longbow
