// hot path: the nearest rows a walk knows of, in one sorted array that serves as both heaps of a beam search.
#pragma once

#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <vector>

#include "index/vector_index.h"
#include "kernels/graph_kernels.h"

namespace longbow::index {

// A key: [ ordered bits of a float : 32 | expanded : 1 | prefetched : 1 | row : 30 ]; smaller is nearer.
using PoolKey = uint64_t;

inline float FloatOfKey(PoolKey key) {
  auto bits = static_cast<uint32_t>(key >> 32);
  bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xffffffffu;
  float value;
  std::memcpy(&value, &bits, sizeof(value));
  return value;
}

inline PoolKey MakeKey(float value, LocalId id) {
  uint32_t bits;
  std::memcpy(&bits, &value, sizeof(bits));
  bits ^= (bits >> 31) != 0 ? 0xffffffffu : 0x80000000u;
  return (static_cast<uint64_t>(bits) << 32) | id;
}

inline LocalId IdOfKey(PoolKey key) { return static_cast<LocalId>(key & kernels::kPoolIdMask); }

// Holds the `capacity` nearest keys. One thread.
class SearchPool {
 public:
  static constexpr size_t kFreshMax = 64;  // keys that may be inserted at once

  void Reset(size_t capacity) {
    capacity_ = capacity;
    size_ = 0;
    cursor_ = 0;
    if (memory_.size() < capacity + kAround) {
      memory_.resize(capacity + kAround);
    }
    keys_ = memory_.data() + kernels::kPoolSentinels;
  }

  size_t size() const { return size_; }
  size_t capacity() const { return capacity_; }
  PoolKey operator[](size_t i) const { return keys_[i]; }
  std::span<const PoolKey> keys() const { return {keys_, size_}; }
  // Keys at or above it change nothing.
  float threshold() const {
    return size_ < capacity_ ? std::numeric_limits<float>::infinity() : FloatOfKey(keys_[size_ - 1]);
  }

  // fresh: [count], in any order; count <= kFreshMax. All below threshold().
  void Insert(const kernels::GraphKernels& kernels, PoolKey* fresh, size_t count) {
    const size_t at = kernels.pool_insert(keys_, size_, fresh, count);
    size_ = size_ + count < capacity_ ? size_ + count : capacity_;
    cursor_ = at < cursor_ ? at : cursor_;
  }
  void Truncate(size_t size) {
    if (size < size_) {
      size_ = size;
      cursor_ = cursor_ < size ? cursor_ : size;
    }
  }
  // Makes room for more; what was cut off stays lost.
  void Widen(size_t capacity) {
    memory_.resize(capacity + kAround);
    keys_ = memory_.data() + kernels::kPoolSentinels;
    capacity_ = capacity;
  }

  // The nearest row not yet expanded; false if there is none among the `limit` nearest.
  bool TakeNext(LocalId* id, size_t limit = std::numeric_limits<size_t>::max()) {
    SkipExpanded();
    if (cursor_ == size_ || cursor_ >= limit) {
      return false;
    }
    *id = IdOfKey(keys_[cursor_]);
    keys_[cursor_++] |= kExpanded;
    SkipExpanded();
    return true;
  }
  // Calls prefetch(row) for those of the next `count` rows to expand for which it was not called before.
  template <typename Prefetch>
  void PrefetchNext(size_t count, const Prefetch& prefetch) {
    for (size_t i = cursor_; i < size_ && count > 0; ++i) {
      const PoolKey key = keys_[i];
      if ((key & kExpanded) != 0) {
        continue;
      }
      --count;
      if ((key & kPrefetched) == 0) {
        keys_[i] = key | kPrefetched;
        prefetch(IdOfKey(key));
      }
    }
  }

 private:
  static constexpr size_t kAround = 3 * kernels::kPoolSentinels + kFreshMax;
  static constexpr PoolKey kExpanded = uint64_t{1} << 31;
  static constexpr PoolKey kPrefetched = uint64_t{1} << 30;

  void SkipExpanded() {
    while (cursor_ < size_ && (keys_[cursor_] & kExpanded) != 0) {
      ++cursor_;
    }
  }

  size_t capacity_ = 0;
  size_t size_ = 0;
  size_t cursor_ = 0;  // nothing before it is left to expand
  PoolKey* keys_ = nullptr;
  std::vector<PoolKey> memory_;  // kPoolSentinels zeros, the keys, room for fresh ones and for what vectors read
};

}  // namespace longbow::index
