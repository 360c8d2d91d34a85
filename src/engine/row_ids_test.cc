// Ids of any pattern cost the same.
#include "engine/row_ids.h"

#include <gtest/gtest.h>

#include <ctime>
#include <functional>

namespace longbow::engine {
namespace {

constexpr uint64_t kRows = 100'000;

double CpuSeconds(const std::function<void()>& work) {
  const std::clock_t start = std::clock();
  work();
  return static_cast<double>(std::clock() - start) / CLOCKS_PER_SEC;
}

TEST(RowIds, FindsWhatWasSetLast) {
  RowIds ids;
  EXPECT_EQ(ids.Find(uint64_t{1}), std::nullopt);
  EXPECT_EQ(ids.Set(uint64_t{1}, 10), std::nullopt);
  EXPECT_EQ(ids.Set(std::string("1"), 11), std::nullopt);
  EXPECT_EQ(ids.Set(uint64_t{1}, 12), 10u);
  ids.Forget(uint64_t{1}, 10);
  EXPECT_EQ(ids.Find(uint64_t{1}), 12u);
  ids.Forget(uint64_t{1}, 12);
  EXPECT_EQ(ids.Find(uint64_t{1}), std::nullopt);
  EXPECT_EQ(ids.Find(std::string("1")), 11u);
}

TEST(RowIds, PatternsOfNumbersDoNotMatter) {
  const auto seconds_with = [](const std::function<uint64_t(uint64_t)>& id_of) {
    return CpuSeconds([&] {
      RowIds ids;
      for (uint64_t i = 0; i < kRows; ++i) {
        ids.Set(id_of(i), i);
      }
      for (uint64_t i = 0; i < kRows; ++i) {
        EXPECT_EQ(ids.Find(id_of(i)), i);
      }
    });
  };
  const double counted = seconds_with([](uint64_t i) { return i; }) + 0.01;
  EXPECT_LT(seconds_with([](uint64_t i) { return i << 32; }), 10 * counted);
  EXPECT_LT(seconds_with([](uint64_t i) { return (i % 100) << 24 | i / 100; }), 10 * counted);
  EXPECT_LT(seconds_with([](uint64_t i) { return i * 65'536 + 7; }), 10 * counted);
}

// As a start does, which loads a collection of many small parts.
TEST(RowIds, RoomForFewMoreMovesNothing) {
  const auto seconds_with = [](uint64_t rows_each) {
    return CpuSeconds([&] {
      RowIds ids;
      for (uint64_t first = 0; first < kRows; first += rows_each) {
        ids.Reserve(rows_each);
        for (uint64_t i = first; i < first + rows_each; ++i) {
          ids.Set(i, i);
        }
      }
    });
  };
  EXPECT_LT(seconds_with(5), 10 * (seconds_with(kRows) + 0.01));
}

}  // namespace
}  // namespace longbow::engine
