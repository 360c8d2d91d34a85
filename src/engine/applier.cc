#include "engine/applier.h"

#include <pthread.h>

#include <future>

#include "base/kill_point.h"

namespace longbow::engine {

Applier::Applier(State state) : state_(std::move(state)), thread_([this] { Run(); }) {
  pthread_setname_np(thread_.native_handle(), "apply");
}

void Applier::Enqueue(Entry entry) {
  {
    std::lock_guard lock(mu_);
    queue_.emplace_back(std::move(entry));
  }
  wake_.notify_one();
}

void Applier::RunBetween(const std::function<void(const State&)>& work) {
  std::promise<void> ran;
  RunLater([&](const State& state) {
    work(state);
    ran.set_value();
  });
  ran.get_future().wait();
}

void Applier::RunLater(Work work) {
  {
    std::lock_guard lock(mu_);
    queue_.emplace_back(std::move(work));
  }
  wake_.notify_one();
}

Status Applier::health() const {
  std::lock_guard lock(mu_);
  return health_;
}

void Applier::Stop() {
  {
    std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_one();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Applier::Run() {
  std::unique_lock lock(mu_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || !queue_.empty(); });
    if (queue_.empty()) {
      return;
    }
    auto item = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    if (auto* entry = std::get_if<Entry>(&item)) {
      ApplyOne(*entry);
    } else {
      std::get<Work>(item)(state_);
    }
    lock.lock();
  }
}

void Applier::ApplyOne(Entry& entry) {
  Status status = entry.durable;
  if (status.ok()) {
    status = health();
  }
  if (status.ok()) {
    LB_KILL_POINT("apply.begin");
    status = state_.Apply(entry.record, entry.proposed);
    LB_KILL_POINT("apply.applied");
    if (!status.ok()) {
      std::lock_guard lock(mu_);
      health_ = Unavailable("read-only until restarted: entry " + std::to_string(entry.record.lsn.value) +
                            " is in the log but could not be applied: " + std::string(status.message()));
    }
  }
  entry.done(status);
}

}  // namespace longbow::engine
