// The k nearest of a stream of candidates.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "index/candidate.h"

namespace longbow::index {

// A heap with the farthest on top. Grows as it fills, so that a large k costs nothing while few rows exist. One thread.
class NearestHeap {
 public:
  explicit NearestHeap(size_t k) : k_(k) {}

  // What a candidate must be below to matter.
  Candidate bound() const { return heap_.size() < k_ ? std::numeric_limits<Candidate>::max() : heap_.front(); }

  // k is at least 1; flags of the candidate are zero.
  void Add(Candidate candidate) {
    if (candidate >= bound()) {
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
      nearest.push_back(NeighborOf(heap_[i]));
    }
    heap_.clear();
    return nearest;
  }

 private:
  const size_t k_;
  std::vector<Candidate> heap_;
};

}  // namespace longbow::index
