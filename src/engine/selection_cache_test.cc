#include "engine/selection_cache.h"

#include <gtest/gtest.h>

namespace longbow::engine {
namespace {

using Op = Predicate::Op;

std::shared_ptr<const Selection> OfRows(uint32_t rows) {
  return std::make_shared<const Selection>(Selection{.rows = rows, .bits = {rows}, .count = 1});
}

TEST(SelectionCache, KnowsWhatItKeptForExactlyThoseRows) {
  SelectionCache cache;
  const auto kept = OfRows(100);
  cache.Keep("a", kept);
  EXPECT_EQ(cache.Find("a", 100), kept);
  EXPECT_EQ(cache.Find("a", 101), nullptr);
  EXPECT_EQ(cache.Find("b", 100), nullptr);
  const auto later = OfRows(200);
  cache.Keep("a", later);
  EXPECT_EQ(cache.Find("a", 200), later);
  EXPECT_EQ(cache.Find("a", 100), nullptr);
  EXPECT_GT(cache.size_bytes(), 0u);
}

TEST(SelectionCache, TheLeastRecentlyUsedGoesFirst) {
  SelectionCache cache;
  for (size_t i = 0; i < SelectionCache::kSelectionsMax; ++i) {
    cache.Keep(std::to_string(i), OfRows(1));
  }
  EXPECT_NE(cache.Find("0", 1), nullptr);
  cache.Keep("one more", OfRows(1));
  EXPECT_NE(cache.Find("0", 1), nullptr);
  EXPECT_EQ(cache.Find("1", 1), nullptr);
}

TEST(SelectionCache, KeysOfDifferentPredicatesDiffer) {
  const std::vector<Predicate> predicates = {
      {},
      {Op::kIn, "x", {"a", "b"}, {}},
      {Op::kIn, "x", {"a,1:b"}, {}},
      {Op::kNotIn, "x", {"a", "b"}, {}},
      {Op::kIn, "y", {"a", "b"}, {}},
      {Op::kIn, "x", {}, {}},
      {Op::kAnd, "", {}, {{Op::kEq, "x", {"1"}, {}}, {Op::kEq, "y", {"1"}, {}}}},
      {Op::kOr, "", {}, {{Op::kEq, "x", {"1"}, {}}, {Op::kEq, "y", {"1"}, {}}}},
      {Op::kAnd, "", {}, {{Op::kNot, "", {}, {{Op::kEq, "x", {"1"}, {}}}}, {Op::kEq, "y", {"1"}, {}}}},
      {Op::kNot, "", {}, {{Op::kAnd, "", {}, {{Op::kEq, "x", {"1"}, {}}, {Op::kEq, "y", {"1"}, {}}}}}},
  };
  for (size_t i = 0; i < predicates.size(); ++i) {
    for (size_t j = 0; j < predicates.size(); ++j) {
      EXPECT_EQ(SelectionCache::KeyOf(predicates[i], 1) == SelectionCache::KeyOf(predicates[j], 1), i == j)
          << i << " " << j;
      EXPECT_NE(SelectionCache::KeyOf(predicates[i], 1), SelectionCache::KeyOf(predicates[j], 2));
    }
  }
}

}  // namespace
}  // namespace longbow::engine
