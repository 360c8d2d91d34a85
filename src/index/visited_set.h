// Which rows one walk has seen. Cleared sparsely: the cost is that of the rows seen, not of all rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "index/vector_index.h"

namespace longbow::index {

// A bit per row, so that a million rows stay in the second-level cache, and the list of words that are not zero. One
// thread.
class VisitedSet {
 public:
  explicit VisitedSet(uint32_t rows) : words_(rows / 64 + 1) {}

  // Room for rows below `rows`; only while nothing is marked.
  void Reserve(uint32_t rows) {
    if (words_.size() < rows / 64 + 1) {
      words_.resize(rows / 64 + 1);
    }
  }

  bool Contains(LocalId id) const { return ((words_[id >> 6] >> (id & 63)) & 1) != 0; }

  // False if the row was marked before.
  bool Mark(LocalId id) {
    uint64_t& word = words_[id >> 6];
    const uint64_t bit = uint64_t{1} << (id & 63);
    if ((word & bit) != 0) {
      return false;
    }
    if (word == 0) {
      touched_.push_back(id >> 6);
    }
    word |= bit;
    return true;
  }

  void Clear() {
    for (const uint32_t word : touched_) {
      words_[word] = 0;
    }
    touched_.clear();
  }

 private:
  std::vector<uint64_t> words_;
  std::vector<uint32_t> touched_;
};

}  // namespace longbow::index
