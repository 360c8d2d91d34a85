#include "model/float16.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace longbow {
namespace {

TEST(Float16, EveryHalfComesBack) {
  for (uint32_t half = 0; half < 0x10000; ++half) {
    const float value = FloatFromHalf(static_cast<uint16_t>(half));
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(FloatFromHalf(HalfFromFloat(value))));
    } else {
      EXPECT_EQ(HalfFromFloat(value), half);
    }
  }
}

TEST(Float16, BetweenTwoHalvesTheNearestIsTaken) {
  for (uint32_t half = 0; half < 0x7bff; ++half) {
    const float below = FloatFromHalf(static_cast<uint16_t>(half));
    const float above = FloatFromHalf(static_cast<uint16_t>(half + 1));
    const float middle = below + (above - below) / 2;  // exact: floats have 13 more bits
    EXPECT_EQ(HalfFromFloat(middle), half + (half & 1)) << half;
    EXPECT_EQ(HalfFromFloat(std::nextafter(middle, below)), half) << half;
    EXPECT_EQ(HalfFromFloat(std::nextafter(middle, above)), half + 1) << half;
    EXPECT_EQ(HalfFromFloat(-middle), 0x8000 | (half + (half & 1))) << half;
  }
}

TEST(Float16, WhatIsTooLargeIsInfinite) {
  EXPECT_EQ(HalfFromFloat(65'519.0f), 0x7bff);
  EXPECT_EQ(HalfFromFloat(65'520.0f), 0x7c00);
  EXPECT_EQ(HalfFromFloat(-1e30f), 0xfc00);
  EXPECT_EQ(HalfFromFloat(std::numeric_limits<float>::infinity()), 0x7c00);
  EXPECT_EQ(HalfFromFloat(1e-30f), 0);
}

}  // namespace
}  // namespace longbow
