// How much memory a store may hold, and who has to wait when it is used up.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>

#include "base/cancellation.h"
#include "base/clock.h"
#include "base/metrics.h"
#include "base/status.h"

namespace longbow::engine {

struct MemoryBudgetOptions {
  uint64_t size_bytes = 0;  // 0: no bound
  std::chrono::milliseconds put_wait_max{5000};
  // What the process holds and the kernel cannot take. Looked at by puts that come faster than the controller looks;
  // null: they do not.
  std::function<uint64_t()> held_bytes = nullptr;
};

enum class MemoryPressure : uint8_t {
  kNone,
  kRelieve,  // what is derived goes, rows go to files, graphs are made lean
};

// A feedback loop: somebody tells it every tenth of a second what the process really holds (Observe); what puts may add
// until the next time is the room that was left, and a quarter of it once relief is under way, so that the closer to
// the limit the slower puts get, and none passes it. Graphs that are being built reserve their share beforehand.
//
//   0 ... 60 %  no bound     60 ... 80 %  relief, puts are slowed     80 %  puts wait, then are refused
//   80 ... 100 %  for what runs already: graphs, checkpoints, searches
//
// Thread safe. Outlives all grants.
class MemoryBudget {
 public:
  MemoryBudget(MemoryBudgetOptions options, Clock& clock) : options_(std::move(options)), clock_(clock) {}

  // Memory that a put will take, until it was applied and can be seen from outside.
  class Grant {
   public:
    Grant() = default;
    Grant(Grant&& other) noexcept : budget_(other.budget_), size_bytes_(other.size_bytes_) { other.budget_ = nullptr; }
    Grant& operator=(Grant&& other) noexcept;
    ~Grant() { Release(); }
    void Release();

   private:
    friend class MemoryBudget;
    Grant(MemoryBudget* budget, uint64_t size_bytes) : budget_(budget), size_bytes_(size_bytes) {}
    MemoryBudget* budget_ = nullptr;
    uint64_t size_bytes_ = 0;
  };

  bool bounded() const { return options_.size_bytes > 0; }
  uint64_t size_bytes() const { return options_.size_bytes; }

  // ---- the controller ----
  // `held_bytes`: what the process cannot give back, measured just now.
  void Observe(uint64_t held_bytes);
  uint64_t held_bytes() const { return held_bytes_.load(std::memory_order_relaxed); }
  uint64_t granted_bytes() const;
  MemoryPressure pressure() const;
  // Puts or graphs wait for memory now, or did within the last second.
  bool IsShort() const;

  // ---- puts ----
  // Room for `size_bytes` more. Waits while there is none; RESOURCE_EXHAUSTED with a retry hint after put_wait_max, at
  // once where no waiting would help; CANCELLED and DEADLINE_EXCEEDED.
  Result<Grant> Admit(uint64_t size_bytes, const Cancellation* cancellation);
  // Ends all waiting, for the end of the store: UNAVAILABLE.
  void Stop();
  void CountRefusals(Counter counter) { refusals_ = counter; }  // before the first put

  // ---- work behind the puts ----
  // How large all rows are as float32, wherever they are, as of the last look.
  void NoteStored(uint64_t float_bytes) { stored_bytes_.store(float_bytes, std::memory_order_relaxed); }
  // Whether graphs of so many bytes for each float32 byte of all rows would fit without pressure.
  bool WouldHoldGraphs(double bytes_per_float_byte) const;
  // Whether something that will take so much fits now, without pressure. For what can as well be left out or done lean.
  bool HasRoomFor(uint64_t size_bytes) const;
  // The same for a compaction: a small one may run under pressure, because fewer segments need less.
  bool HasRoomToCompact(uint64_t size_bytes) const;
  // The most rows for which that can be, where each takes so much, and all of them `fixed_bytes`.
  uint64_t CompactionRowsMax(uint64_t row_bytes, uint64_t fixed_bytes, uint64_t rows_max) const;
  // What a compaction will take, which puts leave free until it is released.
  std::shared_ptr<void> ReserveCompaction(uint64_t size_bytes);
  // Whether all rows are more than the budget, and so are used from files.
  bool IsSmallerThanRows() const { return bounded() && stored_bytes_.load(std::memory_order_relaxed) > size_bytes(); }
  // Memory of a graph from its first row until it is sealed. Null: others have to be finished first; ask again. The
  // first one is always given: nothing would ever be linked otherwise.
  std::shared_ptr<void> ReserveGraph(uint64_t size_bytes);
  // Whether a graph of so many bytes can be built in memory at all; else it is built in scratch files.
  bool HoldsGraphBeingBuilt(uint64_t size_bytes) const;
  // Rows that a segment should have at most where each takes so much, its graph included.
  uint32_t SegmentRowsMax(uint64_t row_bytes, uint32_t rows_max) const;
  // Rows that no graph has yet, of one collection, before its puts have to wait: rows_max, or fewer where searches,
  // which read them all, would read more than a part of the budget.
  uint64_t TailRowsMax(uint64_t row_bytes, uint64_t rows_max) const;
  // A segment of so much is closed early under pressure: smaller ones would not be worth it.
  uint64_t EarlyCloseBytes() const { return options_.size_bytes / 24; }

 private:
  uint64_t Share(uint64_t percent) const { return options_.size_bytes / 100 * percent; }
  bool IsOutOfDate(uint64_t size_bytes) const;
  bool TakeLocked(uint64_t size_bytes);
  Status RefuseLocked(uint64_t size_bytes);
  std::shared_ptr<void> ReserveLocked(uint64_t* reserved, uint64_t size_bytes);
  void NoteShort() { short_at_ns_.store(clock_.SteadyNow().time_since_epoch().count(), std::memory_order_relaxed); }

  const MemoryBudgetOptions options_;
  Clock& clock_;
  Counter refusals_;
  std::atomic<uint64_t> held_bytes_{0};
  std::atomic<uint64_t> stored_bytes_{0};
  std::atomic<int64_t> short_at_ns_{INT64_MIN};
  mutable std::mutex mu_;
  std::condition_variable room_;
  uint64_t outstanding_bytes_ = 0;  // guarded by mu_: of grants
  uint64_t since_bytes_ = 0;        // guarded by mu_: granted, and perhaps not in what was observed last
  uint64_t graphs_bytes_ = 0;       // guarded by mu_: reserved
  uint64_t compactions_bytes_ = 0;  // likewise
  bool stopped_ = false;            // guarded by mu_
};

}  // namespace longbow::engine
