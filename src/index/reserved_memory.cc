#include "index/reserved_memory.h"

#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <string>
#include <utility>

namespace longbow::index {
namespace {

constexpr size_t kHugePageBytes = size_t{2} << 20;
constexpr size_t kHugeMinBytes = size_t{16} << 20;        // below, the last page is too large a part of it
constexpr size_t kReservationMaxBytes = size_t{1} << 46;  // half of what x86-64 gives a process

}  // namespace

Result<ReservedMemory> ReservedMemory::Create(size_t size_bytes, const char* purpose, const ArrayPlace& place) {
  void* mapping = MAP_FAILED;
  int error = ENOMEM;
  const size_t rounded = (size_bytes + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes;
  const size_t mapping_size_bytes = rounded + kHugePageBytes;
  if (size_bytes <= kReservationMaxBytes) {
    mapping =
        mmap(nullptr, mapping_size_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    error = errno;
  }
  if (mapping == MAP_FAILED) {
    return ResourceExhausted("cannot reserve " + std::to_string(size_bytes) + " bytes of address space for " + purpose +
                             ": " + std::strerror(error) + "; lower the rows per segment or raise the memory limit");
  }
  ReservedMemory memory;
  memory.mapping_ = mapping;
  memory.mapping_size_bytes_ = mapping_size_bytes;
  const auto address = reinterpret_cast<uintptr_t>(mapping);
  memory.data_ = reinterpret_cast<void*>((address + kHugePageBytes - 1) / kHugePageBytes * kHugePageBytes);
  if (place.is_scratch()) {
    const size_t pages = std::max<size_t>(1, (size_bytes + kMapAlignment - 1) / kMapAlignment);
    LB_TRY(place.scratch->MapScratch(place.folder, memory.data_, pages * kMapAlignment));
  } else if (rounded >= kHugeMinBytes) {
    // A hint: without it everything works, slower.
    (void)madvise(memory.As<char>() + kHugePageBytes, rounded - kHugePageBytes, MADV_HUGEPAGE);
  }
  if (place.node.placer != nullptr && !place.is_scratch() && rounded > 0) {
    place.node.placer->PlaceMemory(memory.data_, rounded, place.node.place);
  }
  return memory;
}

ReservedMemory& ReservedMemory::operator=(ReservedMemory&& other) noexcept {
  std::swap(mapping_, other.mapping_);
  std::swap(mapping_size_bytes_, other.mapping_size_bytes_);
  std::swap(data_, other.data_);
  return *this;
}

ReservedMemory::~ReservedMemory() {
  if (mapping_ != nullptr) {
    munmap(mapping_, mapping_size_bytes_);
  }
}

}  // namespace longbow::index
