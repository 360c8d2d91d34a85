#include "base/thread_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace longbow {
namespace {

ThreadPoolOptions Checked(ThreadPoolOptions options) {
  options.threads = std::max<size_t>(options.threads, 1);
  return options;
}

}  // namespace

ThreadPool::ThreadPool(ThreadPoolOptions options) : options_(Checked(std::move(options))) {
  MutexLock lock(stop_mu_);
  workers_.reserve(options_.threads);
  for (size_t number = 0; number < options_.threads; ++number) {
    workers_.emplace_back([this, number] { Work(number); });
  }
}

ThreadPool::~ThreadPool() { Stop(); }

Status ThreadPool::Submit(std::function<void()> task) {
  {
    MutexLock lock(mu_);
    if (stopping_) {
      return Unavailable("thread pool '" + options_.name + "' is stopping");
    }
    if (queue_.size() >= options_.queue_max) {
      return ResourceExhausted("thread pool '" + options_.name + "' has " + std::to_string(options_.queue_max) +
                               " tasks waiting, its limit: retry later");
    }
    queue_.push_back(std::move(task));
  }
  changed_.NotifyOne();
  return {};
}

void ThreadPool::Stop() {
  MutexLock stop_lock(stop_mu_);
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  changed_.NotifyAll();
  for (std::thread& worker : workers_) {
    worker.join();
  }
  workers_.clear();
}

size_t ThreadPool::waiting() const {
  MutexLock lock(mu_);
  return queue_.size();
}

void ThreadPool::Work(size_t number) {
  const std::string suffix = "-" + std::to_string(number);
  const size_t room = 15 - std::min<size_t>(15, suffix.size());
  pthread_setname_np(pthread_self(), (options_.name.substr(0, room) + suffix).c_str());
  if (options_.on_start != nullptr) {
    options_.on_start(number);
  }
  while (true) {
    std::function<void()> task;
    {
      MutexLock lock(mu_);
      while (queue_.empty() && !stopping_) {
        changed_.Wait(mu_);
      }
      if (queue_.empty()) {
        return;
      }
      task = std::move(queue_.front());
      queue_.pop_front();
    }
    [&]() noexcept { task(); }();
  }
}

}  // namespace longbow
