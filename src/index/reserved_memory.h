// Address space taken once, memory as it is touched: arrays that grow without ever moving.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>

#include <string>

#include "base/file.h"
#include "base/numa.h"
#include "base/slice.h"
#include "base/status.h"

namespace longbow::index {

// Where arrays stand: in anonymous memory, near a node where there are several; or, for those that there is no memory
// for, in scratch files of a folder.
struct ArrayPlace {
  MemoryPlace node;
  FileSystem* scratch = nullptr;  // null: memory. Outlives what stands there.
  std::string folder;

  bool is_scratch() const { return scratch != nullptr; }
};

// An owned range of zeros, aligned to 2 MiB. Of 16 MiB and more, pages beyond the first 2 MiB are huge where the kernel
// has some to give: a large array then costs few TLB misses, a small one only the 4 KiB pages it uses.
class ReservedMemory {
 public:
  // RESOURCE_EXHAUSTED if the address space, or in a scratch file the disk's, is not to be had; `purpose` names the
  // array in the message. UNIMPLEMENTED: the folder's file system has no scratch files. Memory is that of the place's
  // node, as it is touched.
  static Result<ReservedMemory> Create(size_t size_bytes, const char* purpose, const ArrayPlace& place = {});

  ReservedMemory() = default;
  ReservedMemory(ReservedMemory&& other) noexcept { *this = std::move(other); }
  ReservedMemory& operator=(ReservedMemory&& other) noexcept;
  ~ReservedMemory();

  template <typename T>
  T* As() const {
    return static_cast<T*>(data_);
  }

 private:
  void* mapping_ = nullptr;
  size_t mapping_size_bytes_ = 0;
  void* data_ = nullptr;
};

// The first bytes of it, which nobody changes any more; it lives as long as slices of it do.
inline Slice ShareMemory(ReservedMemory memory, size_t size_bytes) {
  auto owner = std::make_shared<const ReservedMemory>(std::move(memory));
  const auto* const data = owner->As<uint8_t>();
  return {data, size_bytes, std::move(owner)};
}

}  // namespace longbow::index
