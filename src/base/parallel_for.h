// Loops on several threads, for work that is done once in a while: threads are started for each.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "base/cancellation.h"
#include "base/mutex.h"
#include "base/status.h"

namespace longbow {

struct ParallelOptions {
  size_t threads = 1;                          // the caller's own among them
  size_t piece = 1;                            // of the range, handed out at a time
  const Cancellation* cancellation = nullptr;  // checked before each piece when given
};

// Calls body(begin, end), which returns a Status or nothing, for consecutive pieces of [0, n). Each thread has a copy
// of body, so that what it captures by value is the thread's own. After the first error, or the cancellation, no piece
// is begun; that error is returned, once no piece runs any more. Which pieces there are does not depend on the threads.
template <typename Body>
Status ParallelFor(size_t n, const ParallelOptions& options, const Body& body) {
  std::atomic<size_t> next{0};
  Mutex mu;
  Status first_error;
  const auto take_piece = [&](Body& own, size_t begin) -> Status {
    if (options.cancellation != nullptr) {
      LB_TRY(options.cancellation->Check());
    }
    const size_t end = std::min(n, begin + options.piece);
    if constexpr (std::is_void_v<decltype(own(begin, end))>) {
      own(begin, end);
      return {};
    } else {
      return own(begin, end);
    }
  };
  const auto work = [&] {
    Body own = body;
    for (size_t begin = next.fetch_add(options.piece); begin < n; begin = next.fetch_add(options.piece)) {
      if (Status status = take_piece(own, begin); !status.ok()) {
        next.store(n);
        const MutexLock lock(mu);
        first_error = first_error.ok() ? std::move(status) : first_error;
      }
    }
  };
  const size_t pieces = (n + options.piece - 1) / options.piece;
  std::vector<std::thread> others;
  for (size_t i = 1; i < std::min(options.threads, pieces); ++i) {
    others.emplace_back(work);
  }
  work();
  for (std::thread& thread : others) {
    thread.join();
  }
  return first_error;
}

}  // namespace longbow
