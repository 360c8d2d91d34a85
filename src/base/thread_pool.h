// A fixed number of named threads behind a bounded queue in which clients take turns.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <string>
#include <thread>
#include <unordered_map>
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

  // Whose tasks these are. Tasks of one flow run in their order; flows take turns, a task each, so that one with ten
  // thousand tasks waiting keeps another waiting for one of them (fair queueing; Nagle, RFC 970, 1985).
  using Flow = uint64_t;

  // Queues the task. RESOURCE_EXHAUSTED when queue_max tasks wait, UNAVAILABLE after Stop; then it never runs.
  Status Submit(std::function<void()> task, Flow flow = 0);
  // How long the oldest task of a flow has waited; zero if none waits.
  std::chrono::nanoseconds OldestWait(Flow flow) const;

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
  struct Task {
    std::function<void()> run;
    std::chrono::steady_clock::time_point queued_at;
  };
  std::unordered_map<Flow, std::list<Task>> flows_ GUARDED_BY(mu_);  // those with tasks that wait
  std::list<Flow> turns_ GUARDED_BY(mu_);                            // the same, the next one first
  size_t waiting_ GUARDED_BY(mu_) = 0;                               // tasks of all flows
  bool stopping_ GUARDED_BY(mu_) = false;

  Mutex stop_mu_;  // taken before mu_; makes a second Stop wait for the first
  std::vector<std::thread> workers_ GUARDED_BY(stop_mu_);
};

}  // namespace longbow
