// Memory for received columns, kept and handed out again: touching fresh pages costs more than the copy into them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

namespace arrow {
class Buffer;
}

namespace longbow::wire {

// One per door, shared by its streams. Thread safe. Lives until the last of its blocks is gone.
class BlockCache : public std::enable_shared_from_this<BlockCache> {
 public:
  // `kept_max_bytes`: how much unused memory may wait for the next message.
  static std::shared_ptr<BlockCache> Make(size_t kept_max_bytes);
  ~BlockCache();
  BlockCache(const BlockCache&) = delete;
  BlockCache& operator=(const BlockCache&) = delete;

  // `size_bytes` of writable memory, 64-byte aligned (2 MiB where large, for huge pages), contents undefined. Comes
  // back here when the last reference goes. Null if there is no memory.
  std::shared_ptr<arrow::Buffer> Allocate(size_t size_bytes);
  // Frees everything that waits: for an idle door.
  void Trim();
  size_t kept_bytes() const;

 private:
  class Block;
  explicit BlockCache(size_t kept_max_bytes) : kept_max_bytes_(kept_max_bytes) {}
  void Release(void* memory, size_t capacity_bytes);

  const size_t kept_max_bytes_;
  mutable std::mutex mutex_;
  std::map<size_t, std::vector<void*>> kept_;  // guarded by mutex_; by capacity
  size_t kept_bytes_ = 0;                      // guarded by mutex_
};

}  // namespace longbow::wire
