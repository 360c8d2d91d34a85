#include "cli/doctor.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

namespace longbow::cli {
namespace {

MachineFacts GoodMachine() {
  return {.cpu = "a CPU",
          .isa = "avx2",
          .isas = "scalar avx2",
          .threads = 8,
          .numa = "2 nodes: 0 (4 CPUs), 1 (4 CPUs)",
          .memory_bytes = uint64_t{64} << 30,
          .open_files_soft = 1'048'576,
          .open_files_hard = 1'048'576,
          .overcommit = 0,
          .max_map_count = 1'048'576,
          .huge_pages = "madvise",
          .io_uring = "yes"};
}

DiskFacts GoodDisk() {
  return {.path = "/data",
          .file_system = "ext4",
          .size_bytes = uint64_t{1'000} << 30,
          .free_bytes = uint64_t{900} << 30,
          .sync_p50_us = 60,
          .sync_p99_us = 300,
          .write_mb_per_s = 2'000};
}

Finding FindingOf(const MachineFacts& machine, const DiskFacts& disk, const std::string& what) {
  for (const Finding& finding : Judge(machine, disk)) {
    if (finding.what == what) {
      return finding;
    }
  }
  ADD_FAILURE() << "nothing is said about " << what;
  return {};
}

TEST(Doctor, AGoodMachineNeedsNoAdvice) {
  for (const Finding& finding : Judge(GoodMachine(), GoodDisk())) {
    EXPECT_EQ(finding.grade, Grade::kFine) << finding.what << ": " << finding.advice;
    EXPECT_TRUE(finding.advice.empty()) << finding.what;
  }
}

TEST(Doctor, SaysWhatHurts) {
  struct Case {
    const char* what;
    Grade grade;
    void (*change)(MachineFacts&, DiskFacts&);
  };
  const Case cases[] = {
      {"kernels", Grade::kAdvice, [](MachineFacts& machine, DiskFacts&) { machine.isa = "scalar"; }},
      {"NUMA", Grade::kAdvice,
       [](MachineFacts& machine, DiskFacts&) { machine.numa_refusal = "mbind: Operation not permitted"; }},
      {"CPU limit", Grade::kAdvice, [](MachineFacts& machine, DiskFacts&) { machine.cpu_limit = 2; }},
      {"vm.overcommit_memory", Grade::kBad, [](MachineFacts& machine, DiskFacts&) { machine.overcommit = 2; }},
      {"vm.max_map_count", Grade::kAdvice, [](MachineFacts& machine, DiskFacts&) { machine.max_map_count = 65'530; }},
      {"transparent huge pages", Grade::kAdvice,
       [](MachineFacts& machine, DiskFacts&) { machine.huge_pages = "never"; }},
      {"swap", Grade::kAdvice, [](MachineFacts& machine, DiskFacts&) { machine.swap_bytes = 1 << 30; }},
      {"open files", Grade::kAdvice, [](MachineFacts& machine, DiskFacts&) { machine.open_files_soft = 1'024; }},
      {"open files", Grade::kBad, [](MachineFacts& machine, DiskFacts&) { machine.open_files_soft = 64; }},
      {"file system", Grade::kBad, [](MachineFacts&, DiskFacts& disk) { disk.file_system = "tmpfs"; }},
      {"file system", Grade::kBad, [](MachineFacts&, DiskFacts& disk) { disk.file_system = "nfs"; }},
      {"free space", Grade::kAdvice, [](MachineFacts&, DiskFacts& disk) { disk.free_bytes = 1 << 20; }},
      {"fdatasync of 4 KiB", Grade::kAdvice, [](MachineFacts&, DiskFacts& disk) { disk.sync_p50_us = 5'000; }},
      {"fdatasync of 4 KiB", Grade::kBad, [](MachineFacts&, DiskFacts& disk) { disk.sync_p50_us = 50'000; }},
      {"fdatasync of 4 KiB", Grade::kAdvice, [](MachineFacts&, DiskFacts& disk) { disk.sync_p50_us = 2; }},
      {"sequential write", Grade::kAdvice, [](MachineFacts&, DiskFacts& disk) { disk.write_mb_per_s = 30; }},
  };
  for (const Case& c : cases) {
    MachineFacts machine = GoodMachine();
    DiskFacts disk = GoodDisk();
    c.change(machine, disk);
    const Finding finding = FindingOf(machine, disk, c.what);
    EXPECT_EQ(finding.grade, c.grade) << c.what;
    EXPECT_FALSE(finding.advice.empty()) << c.what;
  }
}

TEST(Doctor, ReadsThisMachineAndMeasuresItsDisk) {
  const MachineFacts machine = ReadMachineFacts();
  EXPECT_GE(machine.threads, 1u);
  EXPECT_GT(machine.memory_bytes, 0u);
  EXPECT_GT(machine.open_files_soft, 0u);
  EXPECT_FALSE(machine.isa.empty());
  EXPECT_FALSE(machine.io_uring.empty());
  EXPECT_FALSE(machine.numa.empty());
  const std::string folder = testing::TempDir() + "longbow_doctor_test_" + std::to_string(getpid());
  std::filesystem::create_directory(folder);
  const Result<DiskFacts> disk = MeasureDisk(RealFileSystem(), folder, 4 << 20);
  ASSERT_TRUE(disk.ok()) << disk.status().ToString();
  EXPECT_GT(disk->sync_p50_us, 0);
  EXPECT_GE(disk->sync_p99_us, disk->sync_p50_us);
  EXPECT_GT(disk->write_mb_per_s, 0);
  EXPECT_GT(disk->free_bytes, 0u);
  EXPECT_TRUE(std::filesystem::is_empty(folder)) << "it leaves nothing behind";
  std::filesystem::remove_all(folder);
  EXPECT_EQ(MeasureDisk(RealFileSystem(), folder, 1 << 20).status().code(), StatusCode::kNotFound);
}

}  // namespace
}  // namespace longbow::cli
