#include "engine/memory_budget.h"

#include <gtest/gtest.h>

#include <thread>

namespace longbow::engine {
namespace {

constexpr uint64_t kMiB = 1 << 20;

// A budget of 100 MiB whose clock stands still: waiting ends because the test pushes it on, never by itself.
class MemoryBudgetTest : public testing::Test {
 protected:
  FakeClock clock_;
  MemoryBudget budget_{{.size_bytes = 100 * kMiB, .put_wait_max = std::chrono::milliseconds(5000)}, clock_};
};

TEST(MemoryBudget, WithoutABoundEverythingGoes) {
  MemoryBudget budget({}, RealClock());
  budget.Observe(UINT64_MAX / 2);
  EXPECT_TRUE(budget.Admit(UINT64_MAX / 2, nullptr).ok());
  EXPECT_EQ(budget.pressure(), MemoryPressure::kNone);
  EXPECT_TRUE(budget.HasRoomFor(UINT64_MAX / 4));
  EXPECT_EQ(budget.SegmentRowsMax(uint64_t{1} << 40, 1000), 1000u);
  EXPECT_EQ(budget.TailRowsMax(uint64_t{1} << 40, 1000), 1000u);
}

TEST_F(MemoryBudgetTest, RowsThatWaitForAGraphAreAPartOfTheBudget) {
  EXPECT_EQ(budget_.TailRowsMax(kMiB / 1024, 1'000'000), 75u * 1024);
  EXPECT_EQ(budget_.TailRowsMax(kMiB / 1024, 1000), 1000u);
  EXPECT_EQ(budget_.TailRowsMax(100 * kMiB, 1'000'000), 2048u) << "some can wait however large they are";
  EXPECT_EQ(budget_.TailRowsMax(0, 5000), 5000u) << "no vectors";
}

TEST_F(MemoryBudgetTest, PutsTakeTheRoomThatWasObserved) {
  budget_.Observe(20 * kMiB);
  const auto first = budget_.Admit(40 * kMiB, nullptr);
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(budget_.granted_bytes(), 40 * kMiB);
  const auto second = budget_.Admit(20 * kMiB, nullptr);
  EXPECT_TRUE(second.ok()) << "80 of 100 in all";
  std::atomic<bool> answered{false};
  std::thread waits([&] {
    EXPECT_TRUE(budget_.Admit(1 * kMiB, nullptr).ok());
    answered = true;
  });
  std::this_thread::sleep_for(std::chrono::milliseconds(60));
  EXPECT_FALSE(answered);
  EXPECT_TRUE(budget_.IsShort());
  budget_.Observe(10 * kMiB);  // the two are still outstanding: 70 of 80
  waits.join();
}

TEST_F(MemoryBudgetTest, WhatWasAppliedIsCountedOnceItCanBeSeen) {
  budget_.Observe(0);
  {
    const auto grant = budget_.Admit(70 * kMiB, nullptr);
    ASSERT_TRUE(grant.ok());
  }
  EXPECT_EQ(budget_.granted_bytes(), 0u);
  const Cancellation cancelled(std::chrono::steady_clock::now());
  EXPECT_EQ(budget_.Admit(20 * kMiB, &cancelled).status().code(), StatusCode::kDeadlineExceeded)
      << "applied, and not observed yet";
  budget_.Observe(30 * kMiB);
  EXPECT_TRUE(budget_.Admit(20 * kMiB, nullptr).ok());
}

TEST_F(MemoryBudgetTest, ARefusalComesInTimeAndSaysWhatToDo) {
  budget_.Observe(85 * kMiB);
  Status status;
  std::thread waits([&] { status = budget_.Admit(2 * kMiB, nullptr).status(); });
  while (!budget_.IsShort()) {
    std::this_thread::yield();
  }
  clock_.Advance(std::chrono::seconds(6));
  waits.join();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  for (const char* part : {"100 MiB (max_memory)", "85 MiB are held", "needs 2 MiB more", "retry in 1000 ms"}) {
    EXPECT_NE(status.message().find(part), std::string_view::npos) << part << " in " << status.message();
  }
  EXPECT_EQ(budget_.granted_bytes(), 0u);
  budget_.Observe(10 * kMiB);
  EXPECT_TRUE(budget_.Admit(2 * kMiB, nullptr).ok()) << "it recovers by itself";
}

TEST_F(MemoryBudgetTest, WhatCanNeverFitIsRefusedAtOnce) {
  const Status status = budget_.Admit(81 * kMiB, nullptr).status();
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted);
  EXPECT_NE(status.message().find("send smaller batches"), std::string_view::npos) << status.message();
}

TEST_F(MemoryBudgetTest, NearTheLimitPutsAreSlowed) {
  budget_.Observe(70 * kMiB);
  EXPECT_EQ(budget_.pressure(), MemoryPressure::kRelieve);
  // Each tick a quarter of the room: 10, of which 2.5, then 1.9, ... never past 80.
  double held = 70;
  for (int tick = 0; tick < 20; ++tick) {
    budget_.Observe(static_cast<uint64_t>(held * kMiB));
    const Cancellation at_once(std::chrono::steady_clock::now());
    int puts = 0;
    while (puts < 1000 && budget_.Admit(kMiB / 8, &at_once).ok()) {
      ++puts;
    }
    ASSERT_LT(puts, 1000);
    EXPECT_LE(puts / 8.0, (80 - held) / 4 + 0.13);
    held += puts / 8.0;
  }
  EXPECT_LE(held, 80);
  EXPECT_GT(held, 79) << "and the room is used all the same";
}

TEST_F(MemoryBudgetTest, ALargePutFitsThoughItIsSlow) {
  budget_.Observe(65 * kMiB);
  EXPECT_TRUE(budget_.Admit(14 * kMiB, nullptr).ok());
}

TEST_F(MemoryBudgetTest, StopEndsTheWaiting) {
  budget_.Observe(90 * kMiB);
  Status status;
  std::thread waits([&] { status = budget_.Admit(kMiB, nullptr).status(); });
  budget_.Stop();
  waits.join();
  EXPECT_EQ(status.code(), StatusCode::kUnavailable);
}

TEST_F(MemoryBudgetTest, GraphsTakeTurnsAndTheFirstAlwaysGoes) {
  auto large = budget_.ReserveGraph(500 * kMiB);
  ASSERT_NE(large, nullptr) << "nothing would ever be linked";
  EXPECT_EQ(budget_.ReserveGraph(kMiB), nullptr);
  EXPECT_TRUE(budget_.IsShort());
  large.reset();
  const auto first = budget_.ReserveGraph(12 * kMiB);
  const auto second = budget_.ReserveGraph(12 * kMiB);
  EXPECT_NE(second, nullptr);
  EXPECT_EQ(budget_.ReserveGraph(kMiB), nullptr);
}

TEST_F(MemoryBudgetTest, PutsLeaveWhatGraphsHaveReserved) {
  budget_.Observe(0);
  std::shared_ptr<void> graph = budget_.ReserveGraph(24 * kMiB);
  const std::jthread later([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(60));
    graph.reset();
  });
  EXPECT_TRUE(budget_.Admit(66 * kMiB, nullptr).ok()) << "80 without the 14 that are not left anyhow";
  EXPECT_FALSE(budget_.IsShort());
  budget_.Observe(0);
  EXPECT_TRUE(budget_.Admit(70 * kMiB, nullptr).ok());
  EXPECT_TRUE(budget_.IsShort()) << "until the graph was done";
}

TEST_F(MemoryBudgetTest, SmallCompactionsRunUnderPressure) {
  budget_.Observe(70 * kMiB);
  EXPECT_FALSE(budget_.HasRoomFor(kMiB));
  EXPECT_TRUE(budget_.HasRoomToCompact(15 * kMiB));
  EXPECT_FALSE(budget_.HasRoomToCompact(25 * kMiB));
  budget_.Observe(90 * kMiB);
  EXPECT_FALSE(budget_.HasRoomToCompact(15 * kMiB));
}

TEST_F(MemoryBudgetTest, PutsLeaveWhatACompactionWillTake) {
  budget_.Observe(40 * kMiB);
  const Cancellation at_once(std::chrono::steady_clock::now());
  {
    const std::shared_ptr<void> reserved = budget_.ReserveCompaction(15 * kMiB);
    EXPECT_FALSE(budget_.Admit(30 * kMiB, &at_once).ok());
    EXPECT_TRUE(budget_.Admit(24 * kMiB, &at_once).ok());
    budget_.Observe(40 * kMiB);
  }
  EXPECT_TRUE(budget_.Admit(30 * kMiB, &at_once).ok());
  EXPECT_EQ(budget_.CompactionRowsMax(1024, 10 * kMiB, 1'000'000), 10u * 1024);
  EXPECT_EQ(budget_.CompactionRowsMax(1024, 10 * kMiB, 500), 500u);
  EXPECT_EQ(budget_.CompactionRowsMax(1024, 30 * kMiB, 500), 0u);
}

TEST_F(MemoryBudgetTest, GraphsAreLeanWhereAllOfThemWouldNotFit) {
  budget_.NoteStored(30 * kMiB);
  EXPECT_TRUE(budget_.WouldHoldGraphs(1.7)) << "51 of 60";
  budget_.NoteStored(40 * kMiB);
  EXPECT_FALSE(budget_.WouldHoldGraphs(1.7));
}

TEST_F(MemoryBudgetTest, SegmentsGetSmallerWithTheBudget) {
  EXPECT_EQ(budget_.SegmentRowsMax(3100, 1u << 20), 100 * kMiB / 100 * 30 / 3100);
  EXPECT_EQ(budget_.SegmentRowsMax(1 << 20, 1u << 20), 1024u) << "but not without end";
  EXPECT_EQ(budget_.SegmentRowsMax(8, 5000), 5000u);
}

}  // namespace
}  // namespace longbow::engine
