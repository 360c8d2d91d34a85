// A mutex that clang's -Wthread-safety understands, so that GUARDED_BY is checked and not only read.
#pragma once

#include <chrono>
#include <condition_variable>
#include <mutex>

#if defined(__clang__)
#define LB_THREAD_ATTRIBUTE(x) __attribute__((x))
#else
#define LB_THREAD_ATTRIBUTE(x)
#endif
#define GUARDED_BY(mu) LB_THREAD_ATTRIBUTE(guarded_by(mu))
#define REQUIRES(mu) LB_THREAD_ATTRIBUTE(requires_capability(mu))

namespace longbow {

class LB_THREAD_ATTRIBUTE(capability("mutex")) Mutex {
 public:
  void Lock() LB_THREAD_ATTRIBUTE(acquire_capability()) { mu_.lock(); }
  void Unlock() LB_THREAD_ATTRIBUTE(release_capability()) { mu_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mu_;
};

// Holds the mutex for one scope.
class LB_THREAD_ATTRIBUTE(scoped_lockable) MutexLock {
 public:
  explicit MutexLock(Mutex& mu) LB_THREAD_ATTRIBUTE(acquire_capability(mu)) : mu_(mu) { mu_.Lock(); }
  ~MutexLock() LB_THREAD_ATTRIBUTE(release_capability()) { mu_.Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex& mu_;
};

// Wakes up spuriously as every condition variable does: wait in a loop that checks the condition.
class CondVar {
 public:
  void Wait(Mutex& mu) REQUIRES(mu) {
    std::unique_lock<std::mutex> held(mu.mu_, std::adopt_lock);
    changed_.wait(held);
    held.release();
  }
  // False if `deadline` passed before a notification.
  bool WaitUntil(Mutex& mu, std::chrono::steady_clock::time_point deadline) REQUIRES(mu) {
    std::unique_lock<std::mutex> held(mu.mu_, std::adopt_lock);
    const bool notified = changed_.wait_until(held, deadline) == std::cv_status::no_timeout;
    held.release();
    return notified;
  }
  void NotifyOne() { changed_.notify_one(); }
  void NotifyAll() { changed_.notify_all(); }

 private:
  std::condition_variable changed_;
};

}  // namespace longbow
