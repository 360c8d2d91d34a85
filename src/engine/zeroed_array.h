// A large array of atomics that costs memory only where it was touched.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <memory>
#include <type_traits>

namespace longbow::engine {

// [capacity] zeros, in pages that the kernel gives when they are first touched. Not calloc: it may take them from a
// heap whose top it has to clear, a megabyte for each of ten thousand small collections. An all-zero std::atomic of a
// lock-free integer is a valid one (checked below). Null data() if there is no memory.
template <typename T>
class ZeroedArray {
 public:
  static_assert(std::is_trivially_destructible_v<std::atomic<T>> && sizeof(std::atomic<T>) == sizeof(T));

  explicit ZeroedArray(size_t capacity) : data_(nullptr, Unmap{capacity * sizeof(T)}) {
    void* const pages =
        mmap(nullptr, capacity * sizeof(T), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    data_.reset(pages == MAP_FAILED ? nullptr : static_cast<std::atomic<T>*>(pages));
  }

  std::atomic<T>* data() const { return data_.get(); }
  std::atomic<T>& operator[](size_t i) const { return data_.get()[i]; }

 private:
  struct Unmap {
    void operator()(std::atomic<T>* pages) const { munmap(pages, size_bytes); }
    size_t size_bytes;
  };

  std::unique_ptr<std::atomic<T>, Unmap> data_;
};

}  // namespace longbow::engine
