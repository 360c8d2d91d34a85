#include "base/kill_point.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

namespace longbow {
namespace {

void PassTwoPoints(int times) {
  for (int i = 0; i < times; ++i) {
    LB_KILL_POINT("test.first");
    LB_KILL_POINT("test.second");
  }
}

TEST(KillPointDeathTest, TheNthPassageOfThatPointEndsTheProcess) {
  const auto run = [](const char* armed, int times) {
    (void)ArmKillPoint(armed);
    PassTwoPoints(times);
    _exit(7);
  };
  EXPECT_EXIT(run("test.second:3", 3), testing::KilledBySignal(SIGKILL), "");
  EXPECT_EXIT(run("test.second:3", 2), testing::ExitedWithCode(7), "");
  EXPECT_EXIT(run("test.third:1", 9), testing::ExitedWithCode(7), "");
  EXPECT_EXIT(run("", 9), testing::ExitedWithCode(7), "");
}

TEST(KillPoint, OtherFormsAreRefused) {
  for (const char* text : {"name", "name:", "name:0", "name:-1", "name:1x", ":1", "name:99999999999999999999"}) {
    EXPECT_EQ(ArmKillPoint(text).code(), StatusCode::kInvalidArgument) << text;
  }
}

}  // namespace
}  // namespace longbow
