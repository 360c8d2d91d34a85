// Lets calls that have used up their rate read on later.
#pragma once

#include <chrono>
#include <memory>
#include <queue>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "net/net.h"

namespace longbow::node {

// One thread for all calls. Thread safe.
class Pacer {
 public:
  using Clock = std::chrono::steady_clock;

  ~Pacer() { Stop(); }
  // Reads the call's next message in `wait`, if there still is such a call. The client sees its sends stall, as behind
  // any slow reader.
  void ReadLater(const std::shared_ptr<net::Call>& call, std::chrono::nanoseconds wait);
  void Stop();

 private:
  struct Due {
    Clock::time_point at;
    std::weak_ptr<net::Call> call;
    bool operator<(const Due& other) const { return at > other.at; }  // the earliest on top
  };
  void Run();

  Mutex mu_;
  CondVar changed_;
  std::priority_queue<Due> waiting_ GUARDED_BY(mu_);
  bool stopping_ GUARDED_BY(mu_) = false;
  std::thread thread_;  // started by the first call that waits
};

}  // namespace longbow::node
