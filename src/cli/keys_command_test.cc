#include "cli/keys_command.h"

#include <gtest/gtest.h>

namespace longbow::cli {
namespace {

TEST(Lifetime, DaysHoursOrNever) {
  EXPECT_EQ(ParseLifetimeNs("30d").value(), int64_t{30} * 86'400'000'000'000);
  EXPECT_EQ(ParseLifetimeNs("1h30m").value(), 5'400'000'000'000);
  EXPECT_EQ(ParseLifetimeNs("never").value(), std::nullopt);
  for (const char* wrong : {"", "d", "0d", "-1d", "0", "0s", "1.5d", "40000d", "soon", "30 d", "9999999999999d"}) {
    EXPECT_EQ(ParseLifetimeNs(wrong).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
}

}  // namespace
}  // namespace longbow::cli
