// A fixed number of named threads behind a bounded queue.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/status.h"

namespace longbow {

struct ThreadPoolOptions {
  std::string name;         // threads show as "<name>-<n>" in top and debuggers; the kernel keeps 15 characters
  size_t threads = 1;       // at least 1
  size_t queue_max = 1024;  // tasks waiting, those running not counted
  std::function<void(size_t)> on_start;  // each thread calls it first, with its number; null: nothing to do
};

// Built in bin/ or by the owner of the work, one pool per kind of work, so that one kind cannot starve another.
// Thread safe. A task must not throw (the process stops) and must not wait for a later task of the same pool.
class ThreadPool {
 public:
  explicit ThreadPool(ThreadPoolOptions options);
  ~ThreadPool();  // Stop
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  // Queues the task. RESOURCE_EXHAUSTED when queue_max tasks wait, UNAVAILABLE after Stop; then it never runs.
  Status Submit(std::function<void()> task);

  // Refuses new tasks, runs those already queued, returns when all threads have ended. May be called again, by any
  // thread but the pool's own.
  void Stop();

  size_t threads() const { return options_.threads; }
  size_t waiting() const;

 private:
  void Work(size_t number);

  const ThreadPoolOptions options_;

  mutable Mutex mu_;
  CondVar changed_;
  std::deque<std::function<void()>> queue_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;

  Mutex stop_mu_;  // taken before mu_; makes a second Stop wait for the first
  std::vector<std::thread> workers_ GUARDED_BY(stop_mu_);
};

}  // namespace longbow
