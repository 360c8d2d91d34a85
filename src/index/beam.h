// hot path: the candidates of a walk over the graph. Budget: 30 ns for an insertion at ef = 200.
#pragma once

#include <algorithm>
#include <cstring>
#include <limits>
#include <vector>

#include "index/candidate.h"

namespace longbow::index {

// The `ef` nearest wanted rows seen so far, and among them the unwanted ones (deleted, not yet visible), which are
// walked through but not returned; one sorted array serves as both heaps of the paper. One thread.
//
//   keys_:  [ d0 expanded ][ d1 expanded ][ d2 unwanted ][ d3 ] ...      bound_: the ef-th wanted one
//                                          ^ cursor_: nothing before it is left to expand
class Beam {
 public:
  void Reset(size_t ef) {
    ef_ = ef;
    size_ = 0;
    wanted_ = 0;
    cursor_ = 0;
    bound_ = std::numeric_limits<Candidate>::max();
    size_max_ = 4 * ef + 1024;
    if (keys_.size() < size_max_ + 1) {
      keys_.resize(size_max_ + 1);
    }
  }

  // A candidate at or beyond it changes nothing. Compare before asking whether a row is wanted.
  Candidate bound() const { return bound_; }

  // False when unwanted rows outnumber what a sorted array is good for: the walk should be done with heaps instead.
  bool Add(Candidate candidate, bool wanted) {
    if (size_ == size_max_) {
      return false;
    }
    Candidate* const end = keys_.data() + size_;
    Candidate* const at = std::lower_bound(keys_.data(), end, candidate);
    std::memmove(at + 1, at, static_cast<size_t>(end - at) * sizeof(Candidate));
    *at = candidate | (wanted ? 0 : kUnwanted);
    cursor_ = std::min(cursor_, static_cast<size_t>(at - keys_.data()));
    ++size_;
    if (wanted) {
      ++wanted_;
      if (wanted_ >= ef_) {
        DropBeyondBound();
      }
    }
    return true;
  }

  // The nearest row not yet expanded; false when there is none left.
  bool TakeNext(LocalId* id) {
    SkipExpanded();
    if (cursor_ == size_) {
      return false;
    }
    keys_[cursor_] |= kExpanded;
    *id = IdOf(keys_[cursor_]);
    SkipExpanded();
    return true;
  }
  // What TakeNext would return if nothing nearer comes in between.
  bool PeekNext(LocalId* id) const {
    if (cursor_ == size_) {
      return false;
    }
    *id = IdOf(keys_[cursor_]);
    return true;
  }

  // The wanted rows, nearest first; at most k.
  void Nearest(size_t k, std::vector<Neighbor>* out) const {
    out->clear();
    for (size_t i = 0; i < size_ && out->size() < k; ++i) {
      if ((keys_[i] & kUnwanted) == 0) {
        out->push_back(NeighborOf(keys_[i]));
      }
    }
  }

 private:
  static constexpr Candidate kExpanded = 1;
  static constexpr Candidate kUnwanted = 2;

  void SkipExpanded() {
    while (cursor_ < size_ && (keys_[cursor_] & kExpanded) != 0) {
      ++cursor_;
    }
  }

  // Leaves exactly ef wanted rows, the last of which ends the array.
  void DropBeyondBound() {
    if (wanted_ > ef_) {
      while ((keys_[size_ - 1] & kUnwanted) != 0) {
        --size_;
      }
      --size_;
      --wanted_;
    }
    while ((keys_[size_ - 1] & kUnwanted) != 0) {
      --size_;
    }
    bound_ = keys_[size_ - 1] & ~(kExpanded | kUnwanted);
    cursor_ = std::min(cursor_, size_);
  }

  size_t ef_ = 0;
  size_t size_max_ = 0;
  size_t size_ = 0;
  size_t wanted_ = 0;
  size_t cursor_ = 0;
  Candidate bound_ = 0;
  std::vector<Candidate> keys_;
};

}  // namespace longbow::index
