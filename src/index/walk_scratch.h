// The memory that one walk over a graph works in, and a pool of it.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "index/beam.h"
#include "index/visited_set.h"

namespace longbow::index {

// Used by one thread at a time.
struct WalkScratch {
  WalkScratch(uint32_t rows, uint32_t links_max) : visited(rows), ids(links_max + 1), distances(links_max + 1) {}

  VisitedSet visited;
  Beam beam;
  std::vector<LocalId> ids;      // neighbours of the row being expanded ...
  std::vector<float> distances;  // ... and how far they are
  std::vector<Candidate> frontier;
};

// Hands out scratch without locks: a fixed set of places, each empty or holding one. Thread safe.
class WalkScratchPool {
 public:
  WalkScratchPool(uint32_t rows, uint32_t links_max) : rows_(rows), links_max_(links_max) {}
  ~WalkScratchPool() {
    for (auto& place : places_) {
      std::unique_ptr<WalkScratch>(place.load());
    }
  }
  WalkScratchPool(const WalkScratchPool&) = delete;
  WalkScratchPool& operator=(const WalkScratchPool&) = delete;

  // Gives the scratch back, cleared, when it goes.
  class Lease {
   public:
    Lease(WalkScratchPool& pool, std::unique_ptr<WalkScratch> scratch) : pool_(pool), scratch_(std::move(scratch)) {}
    ~Lease() {
      scratch_->visited.Clear();
      pool_.Return(std::move(scratch_));
    }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    WalkScratch& operator*() const { return *scratch_; }

   private:
    WalkScratchPool& pool_;
    std::unique_ptr<WalkScratch> scratch_;
  };

  Lease Take() {
    const size_t start = StartOfThread();
    for (size_t i = 0; i < kPlaces; ++i) {
      std::atomic<WalkScratch*>& place = places_[(start + i) % kPlaces];
      if (place.load(std::memory_order_relaxed) != nullptr) {
        if (WalkScratch* scratch = place.exchange(nullptr, std::memory_order_acquire)) {
          return {*this, std::unique_ptr<WalkScratch>(scratch)};
        }
      }
    }
    return {*this, std::make_unique<WalkScratch>(rows_, links_max_)};
  }

 private:
  static constexpr size_t kPlaces = 32;

  static size_t StartOfThread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

  void Return(std::unique_ptr<WalkScratch> scratch) {
    const size_t start = StartOfThread();
    for (size_t i = 0; i < kPlaces; ++i) {
      WalkScratch* empty = nullptr;
      if (places_[(start + i) % kPlaces].compare_exchange_strong(empty, scratch.get(), std::memory_order_release,
                                                                 std::memory_order_relaxed)) {
        scratch.release();
        return;
      }
    }
    // More walks at once than places: this scratch is freed.
  }

  const uint32_t rows_;
  const uint32_t links_max_;
  std::array<std::atomic<WalkScratch*>, kPlaces> places_{};
};

}  // namespace longbow::index
