// Loops over rows on several threads, for work that is done once a segment.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <vector>

namespace longbow::index {

// Calls body(begin, end) for pieces of at most `piece` of [0, n), from `threads` threads (1: from the caller's); each
// thread has a copy of body. Returns when all is done.
template <typename Body>
void ParallelFor(size_t threads, size_t n, size_t piece, const Body& body) {
  std::atomic<size_t> next{0};
  const auto work = [&] {
    Body own = body;
    for (size_t begin = next.fetch_add(piece); begin < n; begin = next.fetch_add(piece)) {
      own(begin, std::min(n, begin + piece));
    }
  };
  std::vector<std::thread> others;
  for (size_t i = 1; i < threads; ++i) {
    others.emplace_back(work);
  }
  work();
  for (std::thread& thread : others) {
    thread.join();
  }
}

}  // namespace longbow::index
