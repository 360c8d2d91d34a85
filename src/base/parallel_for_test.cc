#include "base/parallel_for.h"

#include <gtest/gtest.h>

#include <numeric>

namespace longbow {
namespace {

TEST(ParallelFor, EveryNumberOnceWhateverTheThreads) {
  for (const size_t threads : {0, 1, 2, 7}) {
    for (const size_t n : {0, 1, 10, 1000}) {
      for (const size_t piece : {1, 3, 2000}) {
        std::vector<std::atomic<int>> seen(n);
        const Status status = ParallelFor(n, {.threads = threads, .piece = piece}, [&](size_t begin, size_t end) {
          EXPECT_EQ(begin % piece, 0u);
          EXPECT_LE(end - begin, piece);
          for (size_t i = begin; i < end; ++i) {
            ++seen[i];
          }
        });
        EXPECT_TRUE(status.ok());
        EXPECT_TRUE(std::all_of(seen.begin(), seen.end(), [](const auto& count) { return count == 1; }));
      }
    }
  }
}

TEST(ParallelFor, WhatTheBodyHoldsIsTheThreadsOwn) {
  constexpr size_t kN = 2000;
  std::atomic<size_t> total{0};
  const Status status = ParallelFor(kN, {.threads = 4}, [&, calls = size_t{0}](size_t, size_t) mutable {
    ++calls;  // a race if it were shared, which ThreadSanitizer would see
    ++total;
  });
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(total, kN);
}

TEST(ParallelFor, TheFirstErrorEndsIt) {
  for (const size_t threads : {1, 3}) {
    std::atomic<size_t> begun{0};
    const Status status = ParallelFor(1'000'000'000, {.threads = threads}, [&](size_t begin, size_t) {
      ++begun;
      return begin == 100 ? NotFound("number 100") : Status();
    });
    EXPECT_EQ(status.ToString(), "NOT_FOUND: number 100");
    EXPECT_GT(begun, 100u);
  }
}

TEST(ParallelFor, ACancelledOneBeginsNoMorePieces) {
  for (const size_t threads : {1, 3}) {
    Cancellation cancellation;
    std::atomic<size_t> begun{0};
    const Status status =
        ParallelFor(1'000'000'000, {.threads = threads, .cancellation = &cancellation}, [&](size_t begin, size_t) {
          ++begun;
          if (begin == 100) {
            cancellation.Cancel();
          }
        });
    EXPECT_EQ(status.code(), StatusCode::kCancelled);
    EXPECT_GT(begun, 100u);
  }
}

}  // namespace
}  // namespace longbow
