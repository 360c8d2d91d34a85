// One thread that applies durable entries in LSN order and then answers whoever proposed them.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <variant>

#include "base/status.h"
#include "engine/state.h"
#include "storage/log.h"

namespace longbow::engine {

// Runs from construction to Stop. Enqueue, RunBetween and RunLater are thread safe; entries must be enqueued in LSN
// order.
class Applier {
 public:
  struct Entry {
    storage::LogRecord record;
    Proposed proposed;
    Status durable;                    // not OK: the log refused the entry; it is answered, not applied
    std::function<void(Status)> done;  // runs on the applying thread
  };

  explicit Applier(State state);
  ~Applier() { Stop(); }

  void Enqueue(Entry entry);
  // Runs `work` on the applying thread, between two entries, after those enqueued before; returns when it has run.
  void RunBetween(const std::function<void(const State&)>& work);
  // The same, and does not wait.
  void RunLater(std::function<void(const State&)> work);
  // OK, or why applying ended: an entry in the log could not be applied, so nothing after it may be.
  Status health() const;
  // Applies what is queued, then ends.
  void Stop();

 private:
  using Work = std::function<void(const State&)>;
  void Run();
  void ApplyOne(Entry& entry);

  State state_;  // the applying thread's
  mutable std::mutex mu_;
  std::condition_variable wake_;
  std::deque<std::variant<Entry, Work>> queue_;  // guarded by mu_
  Status health_;                                // guarded by mu_
  bool stopping_ = false;                        // guarded by mu_
  std::thread thread_;
};

}  // namespace longbow::engine
