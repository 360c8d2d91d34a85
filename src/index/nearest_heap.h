// The k nearest of a stream of candidates.
#pragma once

#include <algorithm>
#include <limits>
#include <type_traits>
#include <vector>

#include "index/candidate.h"

namespace longbow::index {

// A heap with the farthest on top, of Candidates or, where float32 cannot tell distances apart, of Neighbors. Grows as
// it fills, so that a large k costs nothing while few rows exist. One thread.
template <typename T>
class NearestHeap {
 public:
  explicit NearestHeap(size_t k) : k_(k) {}

  // What a candidate must be below to matter.
  T bound() const { return heap_.size() < k_ ? Farthest() : heap_.front(); }

  // k is at least 1; flags of the candidate are zero.
  void Add(T candidate) {
    if (!(candidate < bound())) {
      return;
    }
    if (heap_.size() == k_) {
      std::pop_heap(heap_.begin(), heap_.end());
      heap_.back() = candidate;
    } else {
      heap_.push_back(candidate);
    }
    std::push_heap(heap_.begin(), heap_.end());
  }

  // At most `k` of them, nearest first; empties the heap.
  std::vector<Neighbor> TakeNearest(size_t k) {
    std::sort_heap(heap_.begin(), heap_.end());
    std::vector<Neighbor> nearest;
    nearest.reserve(std::min(k, heap_.size()));
    for (size_t i = 0; i < heap_.size() && i < k; ++i) {
      nearest.push_back(AsNeighbor(heap_[i]));
    }
    heap_.clear();
    return nearest;
  }

 private:
  static T Farthest() {
    if constexpr (std::is_same_v<T, Candidate>) {
      return std::numeric_limits<Candidate>::max();
    } else {
      return {std::numeric_limits<double>::infinity(), std::numeric_limits<LocalId>::max()};
    }
  }
  static Neighbor AsNeighbor(Candidate candidate) { return NeighborOf(candidate); }
  static Neighbor AsNeighbor(const Neighbor& neighbor) { return neighbor; }

  const size_t k_;
  std::vector<T> heap_;
};

}  // namespace longbow::index
