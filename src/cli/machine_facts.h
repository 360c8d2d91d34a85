// What a machine offers to a node, as the kernel tells it, and what its disk measures.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/file.h"
#include "base/status.h"

namespace longbow::cli {

// 0 or empty: the system does not tell.
struct MachineFacts {
  std::string cpu;
  std::string isa;                  // of the kernels that would be used
  std::string isas;                 // all that this CPU runs, separated by spaces
  uint32_t threads = 0;             // of the CPU that this process may use
  std::string numa;                 // "1 node", "2 nodes: 0 (4 CPUs), ..."
  std::string numa_refusal;         // why threads and memory cannot be placed, where there are several
  double cpu_limit = 0;             // of the control group, in CPUs; 0 = none
  uint64_t memory_bytes = 0;        // of the machine
  uint64_t memory_limit_bytes = 0;  // of the control group; 0 = none
  uint64_t swap_bytes = 0;
  uint64_t open_files_soft = 0;
  uint64_t open_files_hard = 0;
  uint64_t locked_memory_bytes = 0;  // RLIMIT_MEMLOCK, soft
  std::optional<int> overcommit;     // vm.overcommit_memory
  uint64_t max_map_count = 0;        // vm.max_map_count
  std::string huge_pages;            // transparent ones: "always", "madvise" or "never"
  std::string io_uring;              // "yes", or why not
};

struct DiskFacts {
  std::string path;
  std::string file_system;  // "ext4", ...; a number where its name is not known
  uint64_t size_bytes = 0;
  uint64_t free_bytes = 0;
  double sync_p50_us = 0;  // 4 KiB written behind each other, each followed by fdatasync
  double sync_p99_us = 0;
  double write_mb_per_s = 0;  // 1 MiB after another, one fdatasync at the end counted in
};

// Reads /proc, /sys and limits; makes and closes one io_uring.
MachineFacts ReadMachineFacts();

// Writes at most `write_bytes` to a file of its own in `directory` and removes it; some seconds on a slow disk. Errors:
// those of the file system.
Result<DiskFacts> MeasureDisk(FileSystem& fs, const std::string& directory, uint64_t write_bytes);

}  // namespace longbow::cli
