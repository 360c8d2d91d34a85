#include "net/receive_budget.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

namespace longbow::net {
namespace {

class CountingWaiter : public ReceiveBudget::Waiter {
 public:
  void OnRoom() override { ++calls; }
  std::atomic<int> calls{0};
};

TEST(ReceiveBudgetTest, AWaiterIsToldOnceWhenThereIsRoom) {
  const auto budget = std::make_shared<ReceiveBudget>(100);
  const auto waiter = std::make_shared<CountingWaiter>();
  auto first = std::make_unique<Charge>(budget, 60);
  auto second = std::make_unique<Charge>(budget, 60);
  EXPECT_TRUE(budget->full());
  budget->Await(waiter);
  EXPECT_EQ(waiter->calls, 0);
  first.reset();
  EXPECT_EQ(waiter->calls, 1);
  second.reset();
  EXPECT_EQ(waiter->calls, 1);
  EXPECT_EQ(budget->held(), 0u);
}

TEST(ReceiveBudgetTest, WithRoomAWaiterIsToldAtOnce) {
  ReceiveBudget budget(100);
  const auto waiter = std::make_shared<CountingWaiter>();
  budget.Await(waiter);
  EXPECT_EQ(waiter->calls, 1);
}

TEST(ReceiveBudgetTest, AWaiterThatIsGoneIsForgotten) {
  const auto budget = std::make_shared<ReceiveBudget>(10);
  auto charge = std::make_unique<Charge>(budget, 10);
  budget->Await(std::make_shared<CountingWaiter>());
  charge.reset();
  EXPECT_FALSE(budget->full());
}

// No interleaving of Await and Release may leave a waiter asleep beside an empty budget.
TEST(ReceiveBudgetTest, NoWakeUpIsLost) {
  for (int round = 0; round < 2000; ++round) {
    const auto budget = std::make_shared<ReceiveBudget>(1);
    const auto waiter = std::make_shared<CountingWaiter>();
    auto charge = std::make_unique<Charge>(budget, 1);
    std::thread releasing([&charge] { charge.reset(); });
    budget->Await(waiter);
    releasing.join();
    ASSERT_EQ(waiter->calls, 1) << "round " << round;
  }
}

}  // namespace
}  // namespace longbow::net
