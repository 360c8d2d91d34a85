#include "base/random.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

namespace longbow {
namespace {

// First outputs of SplitMix64-seeded xoshiro256**, computed with an independent Python implementation of the paper.
TEST(Random, SameSequenceOnEveryMachine) {
  Random random(42);
  EXPECT_EQ(random.Next(), 1546998764402558742u);
  EXPECT_EQ(random.Next(), 6990951692964543102u);
  EXPECT_EQ(random.Next(), 12544586762248559009u);
}

TEST(Random, SeedDecidesTheSequence) {
  Random first(7), same(7), other(8);
  for (int i = 0; i < 100; ++i) {
    const uint64_t drawn = first.Next();
    EXPECT_EQ(drawn, same.Next());
    EXPECT_NE(drawn, other.Next());
  }
}

TEST(Random, BelowIsFairAndInRange) {
  Random random(1);
  std::array<int, 7> hits{};
  for (int i = 0; i < 70'000; ++i) {
    const uint64_t drawn = random.Below(7);
    ASSERT_LT(drawn, 7u);
    ++hits[drawn];
  }
  for (const int count : hits) {
    EXPECT_NEAR(count, 10'000, 500);
  }
  EXPECT_EQ(random.Below(1), 0u);
  EXPECT_LT(random.Below(UINT64_MAX), UINT64_MAX);
}

TEST(Random, FractionStaysBelowOne) {
  Random random(3);
  double sum = 0;
  for (int i = 0; i < 100'000; ++i) {
    const double fraction = random.Fraction();
    ASSERT_GE(fraction, 0.0);
    ASSERT_LT(fraction, 1.0);
    sum += fraction;
  }
  EXPECT_NEAR(sum / 100'000, 0.5, 0.01);
}

TEST(Random, SystemSeedsDiffer) {
  std::set<uint64_t> seeds;
  for (int i = 0; i < 16; ++i) {
    Result<uint64_t> seed = SystemSeed();
    ASSERT_TRUE(seed.ok()) << seed.status().ToString();
    seeds.insert(*seed);
  }
  EXPECT_EQ(seeds.size(), 16u);
}

}  // namespace
}  // namespace longbow
