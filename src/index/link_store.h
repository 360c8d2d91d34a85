// The links of a graph: who points to whom, in flat arrays.
//
//   level 0:  [capacity][2m, rounded up to a cache line] u32, in place
//   above:    [lists][m] u32; the rows of level l own l lists that follow each other, first_upper_[row] is their number
//   a list:   links, then a 0 unless it is full
//   a link:   0 = end | [ kind : 2 | id + 1 : 30 ]
//
// Fresh memory is zero, that is, every list is empty before it is written.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>

#include "base/status.h"
#include "index/reserved_memory.h"
#include "index/vector_index.h"

namespace longbow::index {

// What a link is for. Child and parent links of level 0 form a tree that spans all rows; they are never pruned.
enum class LinkKind : uint32_t { kPlain = 0, kChild = 1u << 30, kParent = 1u << 31 };

struct Link {
  LocalId id = 0;
  LinkKind kind = LinkKind::kPlain;
};

// One list. Any thread reads at any time; writers hold the row's lock, or the row is not yet linked to. Every slot is
// atomic by itself: while a list is rewritten a reader may see a link twice or one that is just being dropped, but each
// link it sees is one that was stored, and what its row was before it was linked to is visible (release, acquire).
class LinkList {
 public:
  LinkList(uint32_t* slots, uint32_t capacity) : slots_(slots), capacity_(capacity) {}

  uint32_t capacity() const { return capacity_; }
  // False behind the last link.
  bool Get(uint32_t i, Link* link) const {
    const uint32_t word = i < capacity_ ? std::atomic_ref<uint32_t>(slots_[i]).load(std::memory_order_acquire) : 0;
    *link = {(word & kIdMask) - 1, static_cast<LinkKind>(word & ~kIdMask)};
    return word != 0;
  }
  void Set(uint32_t i, Link link) {
    std::atomic_ref<uint32_t>(slots_[i]).store((link.id + 1) | static_cast<uint32_t>(link.kind),
                                               std::memory_order_release);
  }
  // Ends the list behind `size` links.
  void Truncate(uint32_t size) {
    for (uint32_t i = size; i < capacity_; ++i) {
      std::atomic_ref<uint32_t>(slots_[i]).store(0, std::memory_order_relaxed);
    }
  }
  uint32_t Size() const {
    uint32_t size = 0;
    for (Link link; Get(size, &link);) {
      ++size;
    }
    return size;
  }
  void Prefetch() const {
    for (uint32_t i = 0; i < capacity_; i += 16) {
      __builtin_prefetch(slots_ + i);
    }
  }

 private:
  static constexpr uint32_t kIdMask = (1u << 30) - 1;

  uint32_t* const slots_;
  const uint32_t capacity_;
};

struct LinkStoreOptions {
  uint32_t capacity = 0;  // rows
  uint32_t m = 0;         // links of a row on an upper level; twice as many on level 0
  uint64_t seed = 0;
};

// Owned by one graph.
class LinkStore {
 public:
  static constexpr uint32_t kLevelMax = 15;

  // RESOURCE_EXHAUSTED if the address space cannot be reserved.
  static Result<std::unique_ptr<LinkStore>> Create(const LinkStoreOptions& options);

  // The highest level of a row: l or more with probability m^-l, a function of seed and id only, so that a graph built
  // again from the same rows has the same levels.
  uint32_t LevelOf(LocalId id) const;
  // Gives a row its upper lists; before anything links to it. False if that was done before. Any number of threads.
  bool Claim(LocalId id);

  LinkList At(LocalId id, uint32_t level) const {
    if (level == 0) {
      return {level0_.As<uint32_t>() + static_cast<size_t>(id) * stride0_, 2 * options_.m};
    }
    const size_t list = first_upper_.As<uint32_t>()[id] + level - 1;
    return {upper_.As<uint32_t>() + list * options_.m, options_.m};
  }

  // Guards the links of a row. Never hold two.
  class Lock {
   public:
    Lock(const LinkStore& store, LocalId id);
    ~Lock() { flag_.store(false, std::memory_order_release); }
    Lock(const Lock&) = delete;
    Lock& operator=(const Lock&) = delete;

   private:
    std::atomic<bool>& flag_;
  };

 private:
  static constexpr size_t kStripes = 8192;

  explicit LinkStore(const LinkStoreOptions& options) : options_(options), stride0_((2 * options.m + 15) / 16 * 16) {}

  const LinkStoreOptions options_;
  const size_t stride0_;
  ReservedMemory level0_;
  ReservedMemory upper_;
  ReservedMemory first_upper_;  // [capacity] u32: valid for claimed rows of level 1 and above
  ReservedMemory claimed_;      // [capacity] bits
  std::atomic<uint32_t> upper_lists_{0};
  mutable std::array<std::atomic<bool>, kStripes> locks_{};  // rows share locks: a lock is held for microseconds
};

}  // namespace longbow::index
