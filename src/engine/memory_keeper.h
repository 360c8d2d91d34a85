// Watches what a store holds, tells its budget, and gives back what is only derived.
#pragma once

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/memory_limit.h"
#include "base/metrics.h"
#include "engine/collection.h"
#include "engine/memory_budget.h"

namespace longbow::engine {

struct MemoryOptions {
  MemoryBudgetOptions budget{.held_bytes = ReadAnonymousMemoryBytes};
  // What the machine, or a control group, lets the process have, files' pages included; 0: nothing says so.
  std::function<uint64_t()> limit_bytes = [] { return ReadMemoryLimit().size_bytes; };
  // Caches outside of the store: how large, and give them back. May be null.
  std::function<uint64_t()> outside_bytes;
  std::function<void()> release_outside;
  std::chrono::milliseconds period{100};
};

// Memory by its owners, in bytes that the kernel cannot drop.
struct MemoryUse {
  uint64_t rows = 0;  // and their columns, as far as they are not mapped from files
  uint64_t ids = 0;
  uint64_t active_graphs = 0;
  uint64_t sealed_graphs = 0;
  uint64_t filters = 0;  // indexes, projections, selections
  uint64_t puts = 0;     // on their way to be applied
  uint64_t outside = 0;

  uint64_t total() const { return rows + ids + active_graphs + sealed_graphs + filters + puts + outside; }
};

// Thread safe. Does nothing where the budget has no bound, but for the gauges.
class MemoryKeeper {
 public:
  using Source = std::function<std::vector<std::shared_ptr<Collection>>()>;
  // `budget` outlives the keeper.
  MemoryKeeper(MemoryOptions options, MemoryBudget& budget, Metrics& metrics);
  ~MemoryKeeper() { Stop(); }

  // Begins to look, every period; `collections` is called then.
  void Start(Source collections);
  void Stop();

  MemoryUse Count(const std::vector<std::shared_ptr<Collection>>& collections) const;
  void UpdateGauges(const std::vector<std::shared_ptr<Collection>>& collections);

 private:
  void Run();
  void NoteStored();
  void Relieve();

  const MemoryOptions options_;
  MemoryBudget& budget_;
  Source collections_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mu_
  std::thread thread_;

  Gauge budget_gauge_;
  Gauge held_gauge_;
  std::array<Gauge, 8> use_gauges_;  // in the order of MemoryUse, then what nobody counts
};

}  // namespace longbow::engine
