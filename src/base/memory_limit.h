// How much memory this process may have, and how much of it it cannot give back.
#pragma once

#include <cstdint>
#include <string>

namespace longbow {

struct MemoryLimit {
  uint64_t size_bytes = 0;  // 0: nothing says so
  std::string source;       // for messages: "the machine's memory", "/sys/fs/cgroup/a/memory.max"
};

// The lowest of the machine's memory and the limits of the process's control groups and those above them, versions 2
// and 1 alike. `root`: where /proc and /sys are looked for; tests have folders of their own.
MemoryLimit ReadMemoryLimit(const std::string& root = "");

// What of this process's memory the kernel cannot drop and read again from files: resident anonymous pages, changed
// private copies of file pages included. 0 if /proc does not say. A few microseconds.
uint64_t ReadAnonymousMemoryBytes();

// "134217728" as "128 MiB", "1234567" as "1.2 MiB".
std::string SizeText(uint64_t size_bytes);

}  // namespace longbow
