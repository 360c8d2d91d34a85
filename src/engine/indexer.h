// Links rows into their graphs behind the acknowledgements.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/cancellation.h"
#include "base/numa.h"
#include "base/status.h"
#include "engine/collection.h"

namespace longbow::engine {

// Threads of low priority: searches and puts go first. While puts of a collection are on their way its rows are not
// linked, for a quarter of a second at most after its graphs had last caught up: a stream that is over by then has the
// machine to itself, and the tail is longer by no more than is linked in that time. With a placer each thread stays on
// the CPUs of a node, and works on segments whose memory is elsewhere only when there is nothing to do for those near
// it (or when there are fewer threads than nodes). Runs from construction to Stop. Thread safe.
class Indexer {
 public:
  // `collections`: whose rows to link; called whenever there may be work.
  using Source = std::function<std::vector<std::shared_ptr<Collection>>()>;
  // numa: null, or outlives it.
  Indexer(uint32_t threads, Source collections, const NumaPlacer* numa = nullptr);
  ~Indexer() { Stop(); }

  // Rows were published somewhere.
  void Wake();
  // Before `rows` more are put: waits until fewer than `rows_max` of the rows put since the start stand outside the
  // collection's graphs. Rows that were loaded do not count: a restart must not refuse writes until the graphs are
  // built again. CANCELLED, DEADLINE_EXCEEDED, or RESOURCE_EXHAUSTED with a retry hint after ten seconds, whatever the
  // deadline: the thread that waits is one of few.
  // While the collection is being searched so few may stand outside that scanning them costs a search about what its
  // walk does. A put waits for that no longer than two seconds, and one of a few rows only where many came before it.
  Status WaitForRoom(const Collection& collection, uint64_t rows, uint64_t rows_max, const Cancellation* cancellation);
  // Ends what is being done, be it half done, and waits for that: some tens of milliseconds.
  void Stop();

 private:
  enum class Where { kAnywhere, kNear, kFar };

  void Run(size_t number);
  bool LinkSome(size_t threads, Where where, uint32_t place);

  const Source collections_;
  const NumaPlacer* const numa_;
  const bool everywhere_;      // all segments are near every thread, or count as such
  const size_t together_max_;  // threads that work on one piece: those near it
  std::mutex mu_;
  std::condition_variable work_;      // rows were published
  std::condition_variable progress_;  // rows were linked
  Cancellation cancellation_;         // of all work, by Stop
  uint64_t wakes_ = 0;                // guarded by mu_
  size_t idle_ = 0;                   // guarded by mu_: threads that wait for work
  bool stopping_ = false;             // guarded by mu_
  std::vector<std::thread> threads_;
};

}  // namespace longbow::engine
