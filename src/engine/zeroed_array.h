// A large array of atomics that costs memory only where it was touched.
#pragma once

#include <atomic>
#include <cstdlib>
#include <memory>
#include <type_traits>

namespace longbow::engine {

// [capacity] zeros. calloc takes fresh pages from the kernel for sizes like ours and leaves them untouched; an all-zero
// std::atomic of a lock-free integer is a valid one (checked below). Null data() if there is no memory.
template <typename T>
class ZeroedArray {
 public:
  static_assert(std::is_trivially_destructible_v<std::atomic<T>> && sizeof(std::atomic<T>) == sizeof(T));

  explicit ZeroedArray(size_t capacity)
      : data_(static_cast<std::atomic<T>*>(std::calloc(capacity, sizeof(T))), &std::free) {}

  std::atomic<T>* data() const { return data_.get(); }
  std::atomic<T>& operator[](size_t i) const { return data_.get()[i]; }

 private:
  std::unique_ptr<std::atomic<T>, void (*)(void*)> data_;
};

}  // namespace longbow::engine
