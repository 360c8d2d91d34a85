#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <pthread.h>

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>

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

// Holds the one thread of a pool until it is let go.
class Gate {
 public:
  explicit Gate(ThreadPool& pool) {
    EXPECT_TRUE(pool.Submit([this] {
                      started_.set_value();
                      release_.get_future().wait();
                    })
                    .ok());
    started_.get_future().wait();
  }
  void Open() { release_.set_value(); }

 private:
  std::promise<void> started_, release_;
};

TEST(ThreadPool, FlowsTakeTurnsAndKeepTheirOrder) {
  ThreadPool pool({.name = "turns", .threads = 1});
  Gate gate(pool);
  std::string order;
  const auto add = [&](const char* what, ThreadPool::Flow flow) {
    EXPECT_TRUE(pool.Submit([&order, what] { order += what; }, flow).ok());
  };
  for (const char* what : {"a1 ", "a2 ", "a3 ", "a4 "}) {
    add(what, 1);
  }
  add("b1 ", 2);
  add("c1 ", 3);
  add("b2 ", 2);
  EXPECT_EQ(pool.waiting(), 7u);
  gate.Open();
  pool.Stop();
  EXPECT_EQ(order, "a1 b1 c1 a2 b2 a3 a4 ");
  EXPECT_EQ(pool.waiting(), 0u);
}

TEST(ThreadPool, AgeIsThatOfTheFlowsOldestTask) {
  ThreadPool pool({.name = "age", .threads = 1});
  EXPECT_EQ(pool.OldestWait(1).count(), 0);
  Gate gate(pool);
  ASSERT_TRUE(pool.Submit([] {}, 1).ok());
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ASSERT_TRUE(pool.Submit([] {}, 1).ok());
  ASSERT_TRUE(pool.Submit([] {}, 2).ok());
  EXPECT_GE(pool.OldestWait(1), std::chrono::milliseconds(20));
  EXPECT_LT(pool.OldestWait(2), pool.OldestWait(1));
  EXPECT_EQ(pool.OldestWait(3).count(), 0);
  gate.Open();
  pool.Stop();
  EXPECT_EQ(pool.OldestWait(1).count(), 0);
}

}  // namespace
}  // namespace longbow
