// What the kernel knows of this process.
#pragma once

#include <cstdint>

namespace longbow {

// A figure that /proc does not give is 0.
struct ProcessStats {
  double cpu_seconds = 0;         // user and system, all threads
  double start_time_seconds = 0;  // since 1970-01-01 UTC
  uint64_t resident_bytes = 0;
  uint64_t virtual_bytes = 0;
  uint64_t open_files = 0;
  uint64_t open_files_max = 0;  // the soft limit
  uint64_t threads = 0;
};

// Reads /proc/self: some 50 µs, more with thousands of open files. Thread safe.
ProcessStats ReadProcessStats();

}  // namespace longbow
