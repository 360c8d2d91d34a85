#include "cli/doctor.h"

#include <array>
#include <cstdio>

#include "base/config.h"
#include "base/file.h"

namespace longbow::cli {
namespace {

using enum OptionType;

constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kOpenFilesWanted = 65'536;  // segments are mapped and closed; connections are what takes descriptors
constexpr uint64_t kMapsWanted = 262'144;
constexpr double kSyncFine_us = 2'000;
constexpr double kSyncBad_us = 20'000;

constexpr std::array kTable = {
    Option{.name = "write_size",
           .type = kSize,
           .default_text = "256MiB",
           .help = "How much is written to DIR to measure its disk; removed afterwards.",
           .min = 1 << 20,
           .max = 64.0 * kGiB},
};

constexpr char kHelp[] = R"(longbow doctor: what of this machine would hurt a node, and what to do about it

  longbow doctor [DIR] [options]    with DIR, its disk is measured too: a file is written there and removed

Exit status: 0 nothing is bad, 1 something is, 2 the command line is wrong or DIR cannot be written.

Options:
)";

std::string Text(const char* format, double value) {
  std::array<char, 64> text{};
  std::snprintf(text.data(), text.size(), format, value);
  return text.data();
}

std::string Gigabytes(uint64_t bytes) {
  return Text("%.1f GiB", static_cast<double>(bytes) / static_cast<double>(kGiB));
}

std::string Limit(uint64_t value) { return value >= (uint64_t{1} << 62) ? "unlimited" : std::to_string(value); }

void JudgeCpu(const MachineFacts& machine, std::vector<Finding>* findings) {
  findings->push_back({Grade::kFine, "CPU", machine.cpu + ", " + std::to_string(machine.threads) + " threads", ""});
  Finding isa{Grade::kFine, "kernels", machine.isa + " (this CPU runs " + machine.isas + ")", ""};
  if (machine.isa == "scalar") {
    isa.grade = Grade::kAdvice;
    isa.advice = "no vector instructions are used: searches take several times as long; is LONGBOW_ISA set?";
  }
  findings->push_back(std::move(isa));
  Finding numa{Grade::kFine, "NUMA", machine.numa, ""};
  if (!machine.numa_refusal.empty()) {
    numa.grade = Grade::kAdvice;
    numa.advice = "threads and segments cannot be placed (" + machine.numa_refusal +
                  "): allow sched_setaffinity and mbind, in a container with CAP_SYS_NICE, or set numa=off";
  }
  findings->push_back(std::move(numa));
  if (machine.cpu_limit > 0) {
    Finding limit{Grade::kFine, "CPU limit", Text("%.1f CPUs", machine.cpu_limit), ""};
    if (machine.cpu_limit + 0.01 < machine.threads) {
      limit.grade = Grade::kAdvice;
      limit.advice = "thread counts follow the " + std::to_string(machine.threads) +
                     " threads of the machine: set index_threads, search_threads and io_threads to the limit";
    }
    findings->push_back(std::move(limit));
  }
}

void JudgeMemory(const MachineFacts& machine, std::vector<Finding>* findings) {
  const bool limited = machine.memory_limit_bytes > 0 && machine.memory_limit_bytes < machine.memory_bytes;
  findings->push_back({Grade::kFine, "memory",
                       Gigabytes(machine.memory_bytes) +
                           (limited ? ", limited to " + Gigabytes(machine.memory_limit_bytes) : std::string()),
                       ""});
  if (machine.overcommit) {
    const bool strict = *machine.overcommit == 2;
    findings->push_back({strict ? Grade::kBad : Grade::kFine, "vm.overcommit_memory",
                         std::to_string(*machine.overcommit),
                         strict ? "graphs reserve address space that they fill later, which this refuses: sysctl "
                                  "vm.overcommit_memory=0"
                                : ""});
  }
  const bool few_maps = machine.max_map_count > 0 && machine.max_map_count < kMapsWanted;
  findings->push_back({few_maps ? Grade::kAdvice : Grade::kFine, "vm.max_map_count",
                       std::to_string(machine.max_map_count),
                       few_maps ? "files of segments are mapped; for more than some thousand collections: sysctl "
                                  "vm.max_map_count=262144"
                                : ""});
  const bool never = machine.huge_pages == "never";
  findings->push_back({never ? Grade::kAdvice : Grade::kFine, "transparent huge pages",
                       machine.huge_pages.empty() ? "unknown" : machine.huge_pages,
                       never ? "walks through large graphs miss the TLB at every step: write madvise to "
                               "/sys/kernel/mm/transparent_hugepage/enabled"
                             : ""});
  if (machine.swap_bytes > 0) {
    findings->push_back({Grade::kAdvice, "swap", Gigabytes(machine.swap_bytes),
                         "a graph on swap is a hundred times slower: sysctl vm.swappiness=1"});
  }
}

void JudgeLimits(const MachineFacts& machine, std::vector<Finding>* findings) {
  Finding files{Grade::kFine, "open files",
                Limit(machine.open_files_soft) + " (hard limit " + Limit(machine.open_files_hard) + ")", ""};
  if (machine.open_files_soft < kOpenFilesWanted) {
    files.grade = machine.open_files_soft < 256 ? Grade::kBad : Grade::kAdvice;
    files.advice = "each connection takes one: ulimit -n 65536, or LimitNOFILE= of the service";
  }
  findings->push_back(std::move(files));
  findings->push_back({Grade::kFine, "locked memory", Limit(machine.locked_memory_bytes) + " bytes", ""});
  findings->push_back({Grade::kFine, "io_uring", machine.io_uring, ""});
}

void JudgeDisk(const DiskFacts& disk, std::vector<Finding>* findings) {
  Finding system{Grade::kFine, "file system", disk.file_system + " at " + disk.path, ""};
  if (disk.file_system == "tmpfs") {
    system.grade = Grade::kBad;
    system.advice = "this is memory: everything is gone with the machine";
  } else if (disk.file_system == "nfs" || disk.file_system == "cifs" || disk.file_system == "9p") {
    system.grade = Grade::kBad;
    system.advice = "a network file system: locks and fdatasync may promise more than they keep; use a local disk";
  } else if (disk.file_system == "overlay") {
    system.grade = Grade::kAdvice;
    system.advice = "a container's own layer: data is gone with the container; mount a volume";
  }
  findings->push_back(std::move(system));
  const bool full = disk.free_bytes < disk.size_bytes / 10 || disk.free_bytes < kGiB;
  findings->push_back({full ? Grade::kAdvice : Grade::kFine, "free space",
                       Gigabytes(disk.free_bytes) + " of " + Gigabytes(disk.size_bytes),
                       full ? "checkpoints write new files before old ones go, and a full disk stops all writes" : ""});
  Finding sync{Grade::kFine, "fdatasync of 4 KiB",
               Text("p50 %.0f us, ", disk.sync_p50_us) + Text("p99 %.0f us", disk.sync_p99_us), ""};
  if (disk.sync_p50_us > kSyncFine_us) {
    sync.grade = disk.sync_p50_us > kSyncBad_us ? Grade::kBad : Grade::kAdvice;
    sync.advice =
        "every acknowledged write waits for one, writes that come together share it: a disk with power-loss protection "
        "takes some 50 us; wal_sync=interval acknowledges before it, and a power cut may then take the last interval";
  } else if (disk.sync_p50_us < 15 && disk.file_system != "tmpfs") {
    sync.grade = Grade::kAdvice;
    sync.advice =
        "too fast for a disk: something in between may not honour it (a virtual disk with cache=unsafe, "
        "a mount with nobarrier); then a power cut takes acknowledged rows";
  }
  findings->push_back(std::move(sync));
  const bool slow = disk.write_mb_per_s < 100;
  findings->push_back(
      {slow ? Grade::kAdvice : Grade::kFine, "sequential write", Text("%.0f MB/s", disk.write_mb_per_s),
       slow ? "rows are written twice, to the log and at a checkpoint: this is the limit of loading" : ""});
}

void Print(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    const char* grade = finding.grade == Grade::kFine     ? "ok    "
                        : finding.grade == Grade::kAdvice ? "advice"
                                                          : "BAD   ";
    std::printf("%s  %-24s %s\n", grade, finding.what.c_str(), finding.found.c_str());
    if (!finding.advice.empty()) {
      std::printf("        %s\n", finding.advice.c_str());
    }
  }
}

int Fail(std::string_view message) {
  std::fprintf(stderr, "longbow doctor: %.*s\n", static_cast<int>(message.size()), message.data());
  return 2;
}

}  // namespace

std::vector<Finding> Judge(const MachineFacts& machine, const std::optional<DiskFacts>& disk) {
  std::vector<Finding> findings;
  JudgeCpu(machine, &findings);
  JudgeMemory(machine, &findings);
  JudgeLimits(machine, &findings);
  if (disk) {
    JudgeDisk(*disk, &findings);
  }
  return findings;
}

int RunDoctor(std::span<const std::string> arguments) {
  std::string directory;
  std::vector<std::string> options;
  for (const std::string& argument : arguments) {
    if (argument == "--help" || argument == "-h") {
      std::printf("%s%s", kHelp, DescribeOptions(kTable).c_str());
      return 0;
    }
    if (argument.starts_with("-")) {
      options.push_back(argument);
    } else if (directory.empty()) {
      directory = argument;
    } else {
      return Fail("one folder at a time: got '" + directory + "' and '" + argument + "'");
    }
  }
  const Result<Config> config = Config::Load(kTable, {}, options, {}, RealFileSystem());
  if (!config.ok()) {
    return Fail(config.status().message());
  }
  std::optional<DiskFacts> disk;
  if (!directory.empty()) {
    Result<DiskFacts> measured = MeasureDisk(RealFileSystem(), directory, config->Size("write_size"));
    if (!measured.ok()) {
      return Fail(measured.status().message());
    }
    disk = *measured;
  }
  const std::vector<Finding> findings = Judge(ReadMachineFacts(), disk);
  Print(findings);
  for (const Finding& finding : findings) {
    if (finding.grade == Grade::kBad) {
      return 1;
    }
  }
  return 0;
}

}  // namespace longbow::cli
