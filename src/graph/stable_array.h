// An array that grows at its end and whose elements never move.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace longbow::graph {

// One writer, any number of readers without a lock: a reader may touch element i once it learned of i by an acquiring
// read of what the writer stored with release after Append. Chunks double in size, so that small arrays stay small.
// Holds up to 2^32 - 2^kFirstBits elements.
template <typename T>
class StableArray {
 public:
  T& operator[](uint32_t i) { return *At(i); }
  const T& operator[](uint32_t i) const { return *At(i); }
  uint32_t size() const { return size_; }  // the writer's

  // The writer's. A new element, default constructed.
  T& Append() {
    const uint64_t place = uint64_t{size_} + kFirst;
    const int chunk = std::bit_width(place) - 1 - kFirstBits;
    if (std::has_single_bit(place)) {
      chunks_[static_cast<size_t>(chunk)] = std::make_unique<T[]>(place);
    }
    ++size_;
    return (*this)[size_ - 1];
  }

  size_t size_bytes() const { return size_ == 0 ? 0 : (std::bit_ceil(uint64_t{size_} + kFirst) - kFirst) * sizeof(T); }

 private:
  static constexpr int kFirstBits = 4;
  static constexpr uint64_t kFirst = uint64_t{1} << kFirstBits;

  T* At(uint32_t i) const {
    const uint64_t place = uint64_t{i} + kFirst;
    const int width = std::bit_width(place) - 1;
    return &chunks_[static_cast<size_t>(width - kFirstBits)][place - (uint64_t{1} << width)];
  }

  std::array<std::unique_ptr<T[]>, 33 - kFirstBits> chunks_;
  uint32_t size_ = 0;
};

}  // namespace longbow::graph
