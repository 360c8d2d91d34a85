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

Status ThreadPool::Submit(std::function<void()> task, Flow flow) {
  std::list<Task> one;  // made outside the lock
  one.push_back({std::move(task), std::chrono::steady_clock::now()});
  {
    MutexLock lock(mu_);
    if (stopping_) {
      return Unavailable("thread pool '" + options_.name + "' is stopping");
    }
    if (waiting_ >= options_.queue_max) {
      return ResourceExhausted("thread pool '" + options_.name + "' has " + std::to_string(options_.queue_max) +
                               " tasks waiting, its limit: retry later");
    }
    const auto [found, is_new] = flows_.try_emplace(flow);
    if (is_new) {
      turns_.push_back(flow);
    }
    found->second.splice(found->second.end(), one);
    ++waiting_;
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
  return waiting_;
}

std::chrono::nanoseconds ThreadPool::OldestWait(Flow flow) const {
  MutexLock lock(mu_);
  const auto found = flows_.find(flow);
  return found == flows_.end() ? std::chrono::nanoseconds(0)
                               : std::chrono::steady_clock::now() - found->second.front().queued_at;
}

void ThreadPool::Work(size_t number) {
  const std::string suffix = "-" + std::to_string(number);
  const size_t room = 15 - std::min<size_t>(15, suffix.size());
  pthread_setname_np(pthread_self(), (options_.name.substr(0, room) + suffix).c_str());
  if (options_.on_start != nullptr) {
    options_.on_start(number);
  }
  while (true) {
    std::list<Task> one;
    {
      MutexLock lock(mu_);
      while (waiting_ == 0 && !stopping_) {
        changed_.Wait(mu_);
      }
      if (waiting_ == 0) {
        return;
      }
      const auto flow = flows_.find(turns_.front());
      one.splice(one.end(), flow->second, flow->second.begin());
      --waiting_;
      if (flow->second.empty()) {
        flows_.erase(flow);
        turns_.pop_front();
      } else {
        turns_.splice(turns_.end(), turns_, turns_.begin());
      }
    }
    [&]() noexcept { one.front().run(); }();
  }
}

}  // namespace longbow
