#include "engine/scratch_columns.h"

#include <algorithm>
#include <cstring>

namespace longbow::engine {

arrow::Status ScratchColumns::Allocate(int64_t size, int64_t alignment, uint8_t** out) {
  if (size < kSmallBytes) {
    return small_->Allocate(size, alignment, out);
  }
  Result<index::ReservedMemory> memory =
      index::ReservedMemory::Create(static_cast<size_t>(size), "columns in scratch files", place_);
  if (!memory.ok()) {
    return arrow::Status::OutOfMemory(memory.status().ToString());
  }
  *out = memory->As<uint8_t>();  // aligned to 2 MiB
  allocated_bytes_ += size;
  total_bytes_ += size;
  ++allocations_;
  const std::lock_guard lock(mu_);
  arrays_.emplace(*out, *std::move(memory));
  return arrow::Status::OK();
}

arrow::Status ScratchColumns::Reallocate(int64_t old_size, int64_t new_size, int64_t alignment, uint8_t** ptr) {
  if (old_size < kSmallBytes && new_size < kSmallBytes) {
    return small_->Reallocate(old_size, new_size, alignment, ptr);
  }
  uint8_t* moved = nullptr;
  ARROW_RETURN_NOT_OK(Allocate(new_size, alignment, &moved));
  std::memcpy(moved, *ptr, static_cast<size_t>(std::min(old_size, new_size)));
  Free(*ptr, old_size, alignment);
  *ptr = moved;
  return arrow::Status::OK();
}

void ScratchColumns::Free(uint8_t* buffer, int64_t size, int64_t alignment) {
  if (size < kSmallBytes) {
    return small_->Free(buffer, size, alignment);
  }
  allocated_bytes_ -= size;
  const std::lock_guard lock(mu_);
  arrays_.erase(buffer);
}

}  // namespace longbow::engine
