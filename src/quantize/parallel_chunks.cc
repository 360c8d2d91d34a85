#include "quantize/parallel_chunks.h"

#include <algorithm>
#include <atomic>
#include <latch>

namespace longbow::quantize {

void ParallelChunks(ThreadPool* pool, size_t n, size_t chunk, const std::function<void(size_t, size_t)>& work) {
  std::atomic<size_t> next = 0;
  const auto take_parts = [&] {
    for (size_t begin = next.fetch_add(chunk); begin < n; begin = next.fetch_add(chunk)) {
      work(begin, std::min(begin + chunk, n));
    }
  };
  const size_t helpers = pool == nullptr || n <= chunk ? 0 : pool->threads();
  std::latch done(static_cast<ptrdiff_t>(helpers));
  for (size_t i = 0; i < helpers; ++i) {
    const Status queued = pool->Submit([&] {
      take_parts();
      done.count_down();
    });
    if (!queued.ok()) {
      done.count_down();
    }
  }
  take_parts();
  done.wait();
}

}  // namespace longbow::quantize
