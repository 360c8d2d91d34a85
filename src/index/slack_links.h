// The links of an active graph: who points to whom, with room to spare, in flat arrays.
//
//   states     [capacity] u32   [ locked : 1 | linked : 1 | degree : 30 ]
//   ids        [capacity][slots] u32
//   distances  [capacity][slots] float32: of the row to the neighbour, so that a full list is pruned without the query
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <thread>

#include "base/status.h"
#include "index/prefetch.h"
#include "index/reserved_memory.h"
#include "index/vector_index.h"

namespace longbow::index {

struct Edge {
  float distance = 0;
  LocalId id = 0;

  friend bool operator<(const Edge& a, const Edge& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }
};

// Any thread reads ids at any time, without a lock: each slot is atomic by itself, so a reader may see a list half
// rewritten, but each id it sees was linked, and what that row was before is visible (release, acquire). Writers, and
// readers of distances, hold the row's lock. Owned by one graph.
class SlackLinks {
 public:
  static constexpr uint32_t kSlots = 64;  // twice what a pruned list has: most links come from rows inserted later

  // RESOURCE_EXHAUSTED if the address space cannot be reserved.
  static Result<std::unique_ptr<SlackLinks>> Create(uint32_t capacity, const ArrayPlace& place) {
    std::unique_ptr<SlackLinks> links(new SlackLinks());
    LB_ASSIGN(links->states_, ReservedMemory::Create(sizeof(uint32_t) * capacity, "link states", place));
    LB_ASSIGN(links->ids_, ReservedMemory::Create(sizeof(uint32_t) * kSlots * capacity, "links", place));
    LB_ASSIGN(links->distances_, ReservedMemory::Create(sizeof(float) * kSlots * capacity, "link lengths", place));
    return links;
  }

  // ---- readers ----
  bool IsLinked(LocalId id) const { return (State(id).load(std::memory_order_acquire) & kLinked) != 0; }
  uint32_t Degree(LocalId id) const { return State(id).load(std::memory_order_acquire) & kDegreeMask; }
  LocalId At(LocalId id, uint32_t slot) const {
    return std::atomic_ref<uint32_t>(ids(id)[slot]).load(std::memory_order_acquire);
  }
  void Prefetch(LocalId id) const {
    PrefetchLines(states_.As<uint32_t>() + id, sizeof(uint32_t));
    PrefetchLines(ids(id), kSlots * sizeof(uint32_t));
  }

  // ---- writers ----
  // Holds the row's lock while it lives.
  class Lock {
   public:
    Lock(SlackLinks& links, LocalId id) : state_(links.StateWord(id)) {
      for (int spins = 0; (state_.fetch_or(kLocked, std::memory_order_acquire) & kLocked) != 0; ++spins) {
        if (spins % 64 == 63) {
          std::this_thread::yield();
        }
      }
    }
    ~Lock() { state_.fetch_and(~kLocked, std::memory_order_release); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    std::atomic_ref<uint32_t> state_;
  };

  Edge EdgeAt(LocalId id, uint32_t slot) const { return {distances(id)[slot], At(id, slot)}; }
  // Under the lock. False if the list is full.
  bool Append(LocalId id, Edge edge) {
    const uint32_t degree = Degree(id);
    if (degree == kSlots) {
      return false;
    }
    Set(id, degree, edge);
    StateWord(id).fetch_add(1, std::memory_order_release);
    return true;
  }
  // Under the lock. Replaces the list; readers meanwhile see old and new links.
  void Replace(LocalId id, std::span<const Edge> edges) {
    for (uint32_t i = 0; i < edges.size(); ++i) {
      Set(id, i, edges[i]);
    }
    const uint32_t state = State(id).load(std::memory_order_relaxed);
    StateWord(id).store((state & ~kDegreeMask) | static_cast<uint32_t>(edges.size()), std::memory_order_release);
  }
  // Under the lock. False if the row was linked before.
  bool MarkLinked(LocalId id) { return (StateWord(id).fetch_or(kLinked, std::memory_order_release) & kLinked) == 0; }
  // Under the lock. The row has no links any more and counts as never linked.
  void Free(LocalId id) { StateWord(id).store(kLocked, std::memory_order_release); }

 private:
  static constexpr uint32_t kLocked = 1u << 31;
  static constexpr uint32_t kLinked = 1u << 30;
  static constexpr uint32_t kDegreeMask = kLinked - 1;

  SlackLinks() = default;
  std::atomic_ref<uint32_t> State(LocalId id) const { return std::atomic_ref<uint32_t>(states_.As<uint32_t>()[id]); }
  std::atomic_ref<uint32_t> StateWord(LocalId id) { return std::atomic_ref<uint32_t>(states_.As<uint32_t>()[id]); }
  uint32_t* ids(LocalId id) const { return ids_.As<uint32_t>() + static_cast<size_t>(id) * kSlots; }
  float* distances(LocalId id) const { return distances_.As<float>() + static_cast<size_t>(id) * kSlots; }
  void Set(LocalId id, uint32_t slot, Edge edge) {
    distances(id)[slot] = edge.distance;
    std::atomic_ref<uint32_t>(ids(id)[slot]).store(edge.id, std::memory_order_release);
  }

  ReservedMemory states_;
  ReservedMemory ids_;
  ReservedMemory distances_;
};

}  // namespace longbow::index
