// Asks for memory before it is needed.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longbow::index {

// Into the second-level cache: what is asked for is more than the first has room for.
//
// The empty volatile statement is there because GCC takes a function that only prefetches for one without effect and
// removes calls of it (measured: a search then takes half as long again).
inline void PrefetchLines(const void* from, size_t size_bytes) {
  for (size_t offset = 0; offset < size_bytes; offset += 64) {
    __builtin_prefetch(static_cast<const uint8_t*>(from) + offset, 0, 2);
  }
  asm volatile("");
}

}  // namespace longbow::index
