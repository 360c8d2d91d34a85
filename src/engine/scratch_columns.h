// Columns in scratch files: memory for Arrow that the kernel can take.
#pragma once

#include <arrow/memory_pool.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "index/reserved_memory.h"

namespace longbow::engine {

// What is smaller than a few pages comes from another pool. Thread safe; outlives all buffers.
class ScratchColumns final : public arrow::MemoryPool {
 public:
  explicit ScratchColumns(index::ArrayPlace place, arrow::MemoryPool* small = arrow::default_memory_pool())
      : place_(std::move(place)), small_(small) {}

  arrow::Status Allocate(int64_t size, int64_t alignment, uint8_t** out) override;
  arrow::Status Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** ptr) override;
  void Free(uint8_t* buffer, int64_t size, int64_t alignment) override;
  int64_t bytes_allocated() const override { return allocated_bytes_.load(std::memory_order_relaxed); }
  int64_t max_memory() const override { return -1; }
  int64_t total_bytes_allocated() const override { return total_bytes_.load(std::memory_order_relaxed); }
  int64_t num_allocations() const override { return allocations_.load(std::memory_order_relaxed); }
  std::string backend_name() const override { return "scratch"; }

 private:
  static constexpr int64_t kSmallBytes = 64 << 10;

  const index::ArrayPlace place_;
  arrow::MemoryPool* const small_;
  std::mutex mu_;
  std::map<const uint8_t*, index::ReservedMemory> arrays_;  // guarded by mu_
  std::atomic<int64_t> allocated_bytes_{0};
  std::atomic<int64_t> total_bytes_{0};
  std::atomic<int64_t> allocations_{0};
};

}  // namespace longbow::engine
