#include "wire/block_cache.h"

#include <arrow/buffer.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

namespace longbow::wire {
namespace {

constexpr size_t kAlignment = 64;
constexpr size_t kHugePage = 2u << 20;

// Eight sizes per power of two: a block fits the next message of about the same size and wastes an eighth at most.
size_t CapacityFor(size_t size_bytes) {
  const int shift = std::max(6, static_cast<int>(std::bit_width(size_bytes)) - 4);
  const size_t step = size_t{1} << shift;
  return (size_bytes + step - 1) / step * step;
}

}  // namespace

class BlockCache::Block final : public arrow::MutableBuffer {
 public:
  Block(std::shared_ptr<BlockCache> cache, void* memory, size_t size_bytes, size_t capacity_bytes)
      : MutableBuffer(static_cast<uint8_t*>(memory), static_cast<int64_t>(size_bytes)),
        cache_(std::move(cache)),
        capacity_bytes_(capacity_bytes) {}
  ~Block() override { cache_->Release(mutable_data(), capacity_bytes_); }

 private:
  const std::shared_ptr<BlockCache> cache_;
  const size_t capacity_bytes_;
};

std::shared_ptr<BlockCache> BlockCache::Make(size_t kept_max_bytes) {
  struct Makeable : BlockCache {
    explicit Makeable(size_t bytes) : BlockCache(bytes) {}
  };
  return std::make_shared<Makeable>(kept_max_bytes);
}

BlockCache::~BlockCache() { Trim(); }

std::shared_ptr<arrow::Buffer> BlockCache::Allocate(size_t size_bytes) {
  const size_t capacity = CapacityFor(std::max<size_t>(size_bytes, 1));
  void* memory = nullptr;
  {
    const std::lock_guard lock(mutex_);
    if (const auto found = kept_.find(capacity); found != kept_.end() && !found->second.empty()) {
      memory = found->second.back();
      found->second.pop_back();
      kept_bytes_ -= capacity;
    }
  }
  if (memory == nullptr) {
    const size_t alignment = capacity >= kHugePage ? kHugePage : kAlignment;
    memory = std::aligned_alloc(alignment, (capacity + alignment - 1) / alignment * alignment);
  }
  if (memory == nullptr) {
    return nullptr;
  }
  return std::make_shared<Block>(shared_from_this(), memory, size_bytes, capacity);
}

void BlockCache::Release(void* memory, size_t capacity_bytes) {
  {
    const std::lock_guard lock(mutex_);
    if (kept_bytes_ + capacity_bytes <= kept_max_bytes_) {
      kept_[capacity_bytes].push_back(memory);
      kept_bytes_ += capacity_bytes;
      return;
    }
  }
  std::free(memory);
}

void BlockCache::Trim() {
  std::map<size_t, std::vector<void*>> dropped;
  {
    const std::lock_guard lock(mutex_);
    dropped.swap(kept_);
    kept_bytes_ = 0;
  }
  for (const auto& [capacity, blocks] : dropped) {
    std::for_each(blocks.begin(), blocks.end(), std::free);
  }
}

size_t BlockCache::kept_bytes() const {
  const std::lock_guard lock(mutex_);
  return kept_bytes_;
}

}  // namespace longbow::wire
