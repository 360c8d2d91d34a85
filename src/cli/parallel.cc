#include "cli/parallel.h"

#include <atomic>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace longbow::cli {

Status RunInParallel(uint32_t threads, size_t n, const std::function<Status(size_t)>& work) {
  std::atomic<size_t> next{0};
  Mutex mu;
  Status first_error;
  const auto run = [&] {
    for (size_t i = next.fetch_add(1); i < n; i = next.fetch_add(1)) {
      if (Status status = work(i); !status.ok()) {
        next.store(n);
        const MutexLock lock(mu);
        first_error = first_error.ok() ? std::move(status) : first_error;
      }
    }
  };
  if (threads <= 1) {
    run();
    return first_error;
  }
  std::vector<std::thread> workers;
  for (uint32_t t = 0; t < threads; ++t) {
    workers.emplace_back(run);
  }
  for (std::thread& worker : workers) {
    worker.join();
  }
  return first_error;
}

}  // namespace longbow::cli
