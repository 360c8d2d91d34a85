#include "base/parse_value.h"

#include <gtest/gtest.h>

namespace longbow {
namespace {

using namespace std::chrono_literals;

TEST(ParseValue, Durations) {
  EXPECT_EQ(ParseDuration("2h").value(), 2h);
  EXPECT_EQ(ParseDuration("1h30m").value(), 90min);
  EXPECT_EQ(ParseDuration("200ms").value(), 200ms);
  EXPECT_EQ(ParseDuration("1.5s").value(), 1500ms);
  EXPECT_EQ(ParseDuration(".5s").value(), 500ms);
  EXPECT_EQ(ParseDuration("7us").value(), 7us);
  EXPECT_EQ(ParseDuration("7µs").value(), 7us);
  EXPECT_EQ(ParseDuration("12ns").value(), 12ns);
  EXPECT_EQ(ParseDuration("0").value(), 0ns);
  EXPECT_EQ(ParseDuration("0s").value(), 0ns);
  for (const char* wrong : {"", "5", "h", "5 m", "-1s", "+1s", "1.2.3s", "1d", "2hx", "nans", "5M", ".s", "1e3s"}) {
    EXPECT_EQ(ParseDuration(wrong).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
  EXPECT_FALSE(ParseDuration("3000000h").ok());
  EXPECT_EQ(ParseDuration("soon").status().message(), "expected a duration such as 200ms, 5m or 1h30m, got 'soon'");
}

TEST(ParseValue, Sizes) {
  EXPECT_EQ(ParseSize("0").value(), 0u);
  EXPECT_EQ(ParseSize("536870912").value(), 536'870'912u);
  EXPECT_EQ(ParseSize("64MiB").value(), 64u << 20);
  EXPECT_EQ(ParseSize("2GB").value(), 2'000'000'000u);
  EXPECT_EQ(ParseSize("10kB").value(), 10'000u);
  EXPECT_EQ(ParseSize("1KiB").value(), 1024u);
  EXPECT_EQ(ParseSize("17B").value(), 17u);
  EXPECT_EQ(ParseSize("18446744073709551615").value(), UINT64_MAX);
  for (const char* wrong : {"", "MiB", "-1", "1.5GiB", "64 MiB", "64mib", "18446744073709551616", "99999999TiB"}) {
    EXPECT_EQ(ParseSize(wrong).status().code(), StatusCode::kInvalidArgument) << wrong;
  }
}

TEST(ParseValue, NumbersAndWords) {
  EXPECT_EQ(ParseInt("-12").value(), -12);
  EXPECT_FALSE(ParseInt("12x").ok());
  EXPECT_FALSE(ParseInt("").ok());
  EXPECT_FALSE(ParseInt("9223372036854775808").ok());
  EXPECT_EQ(ParseFloat("0.25").value(), 0.25);
  EXPECT_FALSE(ParseFloat("nan").ok());
  EXPECT_FALSE(ParseFloat("inf").ok());
  EXPECT_TRUE(ParseBool("true").value());
  EXPECT_FALSE(ParseBool("0").value());
  EXPECT_FALSE(ParseBool("yes").ok());
}

}  // namespace
}  // namespace longbow
