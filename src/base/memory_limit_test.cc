#include "base/memory_limit.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <vector>

namespace longbow {
namespace {

constexpr uint64_t kMiB = 1 << 20;

class MemoryLimitTest : public testing::Test {
 protected:
  MemoryLimitTest() : root_(testing::TempDir() + "longbow_memory_limit_" + std::to_string(getpid())) {
    Write("/proc/meminfo", "MemTotal:       1048576 kB\nMemFree:  5 kB\n");
  }
  ~MemoryLimitTest() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  const std::string root_;
};

TEST_F(MemoryLimitTest, WithoutGroupsItIsTheMachine) {
  EXPECT_EQ(ReadMemoryLimit(root_).size_bytes, 1024 * kMiB);
  EXPECT_EQ(ReadMemoryLimit(root_).source, "the machine's memory");
  EXPECT_EQ(ReadMemoryLimit(root_ + "/nothing").size_bytes, 0u);
}

TEST_F(MemoryLimitTest, VersionTwoCountsTheGroupsAboveToo) {
  Write("/proc/self/cgroup", "0::/a/b\n");
  Write("/sys/fs/cgroup/a/b/memory.max", "max\n");
  Write("/sys/fs/cgroup/a/memory.max", "209715200\n");
  EXPECT_EQ(ReadMemoryLimit(root_).size_bytes, 200 * kMiB);
  EXPECT_EQ(ReadMemoryLimit(root_).source, "/sys/fs/cgroup/a/memory.max");
  Write("/sys/fs/cgroup/a/b/memory.max", "104857600\n");
  EXPECT_EQ(ReadMemoryLimit(root_).size_bytes, 100 * kMiB);
}

TEST_F(MemoryLimitTest, AContainerSeesItsLimitAtTheMount) {
  Write("/proc/self/cgroup", "0::/host/path/that/is/not/here\n");
  Write("/sys/fs/cgroup/memory.max", "104857600\n");
  EXPECT_EQ(ReadMemoryLimit(root_).size_bytes, 100 * kMiB);
}

TEST_F(MemoryLimitTest, VersionOneHasItsOwnFolder) {
  Write("/proc/self/cgroup", "5:cpu,cpuacct:/x\n4:memory:/x\n0::/\n");
  Write("/sys/fs/cgroup/memory/x/memory.limit_in_bytes", "52428800\n");
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  EXPECT_EQ(ReadMemoryLimit(root_).size_bytes, 50 * kMiB);
}

TEST_F(MemoryLimitTest, NonsenseIsNoLimit) {
  Write("/proc/self/cgroup", "garbage\n0::/a\n");
  Write("/sys/fs/cgroup/a/memory.max", "12monkeys\n");
  EXPECT_EQ(ReadMemoryLimit(root_).size_bytes, 1024 * kMiB);
}

TEST(AnonymousMemory, GrowsWithPagesThatAreTouched) {
  const uint64_t before = ReadAnonymousMemoryBytes();
  ASSERT_GT(before, 0u);
  std::vector<char> block(64 * kMiB);
  std::memset(block.data(), 1, block.size());
  EXPECT_GE(ReadAnonymousMemoryBytes(), before + 60 * kMiB);
}

TEST(SizeText, IsWhatPeopleRead) {
  EXPECT_EQ(SizeText(0), "0 bytes");
  EXPECT_EQ(SizeText(1), "1 bytes");
  EXPECT_EQ(SizeText(128 * kMiB), "128 MiB");
  EXPECT_EQ(SizeText(1'234'567), "1.2 MiB");
  EXPECT_EQ(SizeText(5'000 * kMiB), "4.9 GiB");
}

}  // namespace
}  // namespace longbow
