#include "cli/machine_facts.h"

#include <linux/io_uring.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>
#include <sstream>
#include <system_error>
#include <vector>

#include "base/numa.h"
#include "kernels/dispatch.h"

namespace longbow::cli {
namespace {

std::string FirstLine(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

// The value behind "name" and a colon, in files like /proc/cpuinfo and /proc/meminfo.
std::string ValueOf(const char* path, std::string_view name) {
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with(name)) {
      const size_t begin = line.find_first_not_of(" \t", line.find(':') + 1);
      return begin == std::string::npos ? std::string() : line.substr(begin);
    }
  }
  return {};
}

uint64_t Number(const std::string& text) {
  return text.empty() || text[0] < '0' || text[0] > '9' ? 0 : std::stoull(text);
}

// cgroup v2: "max" or a number.
uint64_t MemoryLimit() { return Number(FirstLine("/sys/fs/cgroup/memory.max")); }

// cgroup v2: "quota period" in microseconds, or "max period".
double CpuLimit() {
  std::istringstream line(FirstLine("/sys/fs/cgroup/cpu.max"));
  double quota = 0;
  double period = 0;
  return line >> quota >> period && period > 0 ? quota / period : 0;
}

uint32_t UsableThreads() {
  cpu_set_t set;
  return sched_getaffinity(0, sizeof(set), &set) == 0 ? static_cast<uint32_t>(CPU_COUNT(&set)) : 0;
}

// "always [madvise] never" -> "madvise".
std::string Chosen(const std::string& line) {
  const size_t open = line.find('[');
  const size_t close = line.find(']');
  return open == std::string::npos || close == std::string::npos ? line : line.substr(open + 1, close - open - 1);
}

std::string TryIoUring() {
  io_uring_params params{};
  const long fd = ::syscall(SYS_io_uring_setup, 4, &params);
  if (fd >= 0) {
    ::close(static_cast<int>(fd));
    return "yes";
  }
  return "no: " + std::generic_category().message(errno);
}

std::string FileSystemName(long type) {
  struct Name {
    long type;
    const char* name;
  };
  static constexpr std::array kNames = {
      Name{0xEF53, "ext4"},     Name{0x58465342, "xfs"},     Name{0x9123683E, "btrfs"}, Name{0x01021994, "tmpfs"},
      Name{0x6969, "nfs"},      Name{0x794c7630, "overlay"}, Name{0x2FC12FC1, "zfs"},   Name{0x65735546, "fuse"},
      Name{0xF2F52010, "f2fs"}, Name{0x5346544e, "ntfs"},    Name{0xFF534D42, "cifs"},  Name{0x01021997, "9p"},
  };
  for (const Name& name : kNames) {
    if (name.type == type) {
      return name.name;
    }
  }
  return std::to_string(type);
}

using Clock = std::chrono::steady_clock;

double Microseconds(Clock::duration duration) { return std::chrono::duration<double, std::micro>(duration).count(); }

Status MeasureSyncs(File& file, DiskFacts* facts) {
  constexpr int kSyncs = 200;
  constexpr std::chrono::seconds kTime{3};
  const std::vector<uint8_t> bytes(4'096, 0x5a);
  std::vector<double> took_us;
  const auto begin = Clock::now();
  for (int i = 0; i < kSyncs && (i < 5 || Clock::now() - begin < kTime); ++i) {
    const auto begun = Clock::now();
    LB_TRY(file.WriteAt(static_cast<uint64_t>(i) * bytes.size(), {Slice(bytes.data(), bytes.size(), nullptr)}));
    LB_TRY(file.Sync());
    took_us.push_back(Microseconds(Clock::now() - begun));
  }
  std::sort(took_us.begin(), took_us.end());
  facts->sync_p50_us = took_us[took_us.size() / 2];
  facts->sync_p99_us = took_us[took_us.size() * 99 / 100];
  return {};
}

Status MeasureWriting(File& file, uint64_t write_bytes, DiskFacts* facts) {
  constexpr std::chrono::seconds kTime{5};
  std::vector<uint8_t> bytes(1u << 20);
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(i * 2'654'435'761u >> 13);  // not zeros: some disks compress
  }
  const auto begin = Clock::now();
  uint64_t written = 0;
  while (written < write_bytes && Clock::now() - begin < kTime) {
    LB_TRY(file.WriteAt(written, {Slice(bytes.data(), bytes.size(), nullptr)}));
    written += bytes.size();
  }
  LB_TRY(file.Sync());
  facts->write_mb_per_s = static_cast<double>(written) / Microseconds(Clock::now() - begin);
  return {};
}

void ReadNuma(MachineFacts* facts) {
  const Result<std::vector<NumaNode>> nodes = ReadNumaNodes();
  if (!nodes.ok()) {
    facts->numa = "not known: " + std::string(nodes.status().message());
    return;
  }
  facts->numa = NumaText(*nodes);
  if (nodes->size() > 1) {
    facts->numa_refusal = NumaPlacer(*nodes, RealNumaCalls()).Try().message();
  }
}

}  // namespace

MachineFacts ReadMachineFacts() {
  MachineFacts facts;
  facts.cpu = ValueOf("/proc/cpuinfo", "model name");
  if (const auto kernels = kernels::KernelsFromEnvironment(); kernels.ok()) {
    facts.isa = kernels::IsaName((*kernels)->isa);
  }
  for (const kernels::Isa isa : kernels::SupportedIsas()) {
    facts.isas += (facts.isas.empty() ? "" : " ") + std::string(kernels::IsaName(isa));
  }
  facts.threads = UsableThreads();
  ReadNuma(&facts);
  facts.cpu_limit = CpuLimit();
  facts.memory_bytes = Number(ValueOf("/proc/meminfo", "MemTotal")) * 1024;
  facts.memory_limit_bytes = MemoryLimit();
  facts.swap_bytes = Number(ValueOf("/proc/meminfo", "SwapTotal")) * 1024;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    facts.open_files_soft = limit.rlim_cur;
    facts.open_files_hard = limit.rlim_max;
  }
  if (::getrlimit(RLIMIT_MEMLOCK, &limit) == 0) {
    facts.locked_memory_bytes = limit.rlim_cur;
  }
  if (const std::string text = FirstLine("/proc/sys/vm/overcommit_memory"); !text.empty()) {
    facts.overcommit = static_cast<int>(Number(text));
  }
  facts.max_map_count = Number(FirstLine("/proc/sys/vm/max_map_count"));
  facts.huge_pages = Chosen(FirstLine("/sys/kernel/mm/transparent_hugepage/enabled"));
  facts.io_uring = TryIoUring();
  return facts;
}

Result<DiskFacts> MeasureDisk(FileSystem& fs, const std::string& directory, uint64_t write_bytes) {
  DiskFacts facts{.path = directory};
  struct statfs info {};
  if (::statfs(directory.c_str(), &info) != 0) {
    return NotFound("cannot examine '" + directory + "': " + std::generic_category().message(errno));
  }
  const auto block_bytes = static_cast<uint64_t>(info.f_bsize);
  facts.file_system = FileSystemName(static_cast<long>(info.f_type));
  facts.size_bytes = block_bytes * info.f_blocks;
  facts.free_bytes = block_bytes * info.f_bavail;
  const std::string path = directory + "/longbow-doctor-" + std::to_string(::getpid()) + ".tmp";
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kCreate));
  Status status = file->Allocate(0, std::min(write_bytes, facts.free_bytes / 2));
  if (status.ok()) {
    status = MeasureSyncs(*file, &facts);
  }
  if (status.ok()) {
    status = MeasureWriting(*file, std::min(write_bytes, facts.free_bytes / 2), &facts);
  }
  LB_TRY(fs.Remove(path));
  LB_TRY(status);
  return facts;
}

}  // namespace longbow::cli
