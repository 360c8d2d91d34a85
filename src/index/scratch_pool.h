// Memory that walks work in, handed out without locks.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <thread>
#include <utility>

namespace longbow::index {

// A fixed set of places, each empty or holding one Scratch. Thread safe.
template <typename Scratch>
class ScratchPool {
 public:
  ScratchPool() = default;
  ~ScratchPool() {
    for (auto& place : places_) {
      std::unique_ptr<Scratch>(place.load());
    }
  }
  ScratchPool(const ScratchPool&) = delete;
  ScratchPool& operator=(const ScratchPool&) = delete;

  // Gives the scratch back when it goes.
  class Lease {
   public:
    Lease(ScratchPool& pool, std::unique_ptr<Scratch> scratch) : pool_(pool), scratch_(std::move(scratch)) {}
    ~Lease() { pool_.Return(std::move(scratch_)); }
    Lease(const Lease&) = delete;
    Lease& operator=(const Lease&) = delete;
    Scratch& operator*() const { return *scratch_; }

   private:
    ScratchPool& pool_;
    std::unique_ptr<Scratch> scratch_;
  };

  Lease Take() {
    const size_t start = StartOfThread();
    for (size_t i = 0; i < kPlaces; ++i) {
      std::atomic<Scratch*>& place = places_[(start + i) % kPlaces];
      if (place.load(std::memory_order_relaxed) != nullptr) {
        if (Scratch* scratch = place.exchange(nullptr, std::memory_order_acquire)) {
          return {*this, std::unique_ptr<Scratch>(scratch)};
        }
      }
    }
    return {*this, std::make_unique<Scratch>()};
  }

 private:
  static constexpr size_t kPlaces = 32;

  static size_t StartOfThread() { return std::hash<std::thread::id>()(std::this_thread::get_id()); }

  void Return(std::unique_ptr<Scratch> scratch) {
    const size_t start = StartOfThread();
    for (size_t i = 0; i < kPlaces; ++i) {
      Scratch* empty = nullptr;
      if (places_[(start + i) % kPlaces].compare_exchange_strong(empty, scratch.get(), std::memory_order_release,
                                                                 std::memory_order_relaxed)) {
        scratch.release();
        return;
      }
    }
    // More walks at once than places: this scratch is freed.
  }

  std::array<std::atomic<Scratch*>, kPlaces> places_{};
};

}  // namespace longbow::index
