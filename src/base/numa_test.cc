#include "base/numa.h"

#include <gtest/gtest.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

namespace longbow {
namespace {

using Numbers = std::vector<uint32_t>;

TEST(Numa, CpuListsAreReadAsTheKernelWritesThem) {
  EXPECT_EQ(ParseCpuList("").value(), Numbers());
  EXPECT_EQ(ParseCpuList("7").value(), Numbers({7}));
  EXPECT_EQ(ParseCpuList("8,0-3,2").value(), Numbers({0, 1, 2, 3, 8}));
  for (const char* bad : {"x", "1,", ",1", "3-1", "1-", "-1", "1 2", "0-99999999999", "0-8192"}) {
    const auto read = ParseCpuList(bad);
    EXPECT_EQ(read.status().code(), StatusCode::kInvalidArgument) << bad;
    EXPECT_NE(read.status().ToString().find(std::string("'") + bad + "'"), std::string::npos)
        << read.status().ToString();
  }
}

// Folders like /sys/devices/system/node, of CPUs that this process has.
class NumaNodesTest : public testing::Test {
 protected:
  NumaNodesTest() : folder_(testing::TempDir() + "longbow_numa_" + std::to_string(getpid())) {
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    for (uint32_t cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (CPU_ISSET(cpu, &set)) {
        usable_.push_back(cpu);
      }
    }
  }
  ~NumaNodesTest() override { std::filesystem::remove_all(folder_); }
  void Write(const std::string& path, const std::string& line) {
    const auto file = std::filesystem::path(folder_) / path;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file) << line << "\n";
  }
  const std::string folder_;
  Numbers usable_;
};

TEST_F(NumaNodesTest, TwoNodesOneOfMemoryAloneAndCpusOfOthers) {
  const std::string first = std::to_string(usable_.front());
  const std::string last = std::to_string(usable_.back());
  Write("online", "0-1,4,6");
  Write("node0/cpulist", first + ",8191");  // the other is not ours
  Write("node1/cpulist", "");               // memory alone
  Write("node4/cpulist", last);
  Write("node6/cpulist", "8190");  // in another container
  const auto nodes = ReadNumaNodes(folder_);
  ASSERT_TRUE(nodes.ok()) << nodes.status().ToString();
  ASSERT_EQ(nodes->size(), 2u);
  EXPECT_EQ((*nodes)[0].id, 0u);
  EXPECT_EQ((*nodes)[0].cpus, Numbers({usable_.front()}));
  EXPECT_EQ((*nodes)[1].id, 4u);
  EXPECT_EQ((*nodes)[1].cpus, Numbers({usable_.back()}));
  EXPECT_EQ(NumaText(*nodes), "2 nodes: 0 (1 CPUs), 4 (1 CPUs)");
}

TEST_F(NumaNodesTest, NothingAndNonsense) {
  EXPECT_TRUE(ReadNumaNodes(folder_).value().empty());
  EXPECT_EQ(NumaText({}), "not known");
  Write("online", "all");
  EXPECT_NE(ReadNumaNodes(folder_).status().ToString().find("/online: "), std::string::npos);
  Write("online", "0");
  Write("node0/cpulist", "0-");
  EXPECT_NE(ReadNumaNodes(folder_).status().ToString().find("/node0/cpulist: "), std::string::npos);
}

class RecordedCalls final : public NumaCalls {
 public:
  Status PinThread(std::span<const uint32_t> cpus) override {
    pinned.emplace_back(cpus.begin(), cpus.end());
    return refuse_pins ? Unavailable("sched_setaffinity: not allowed") : Status();
  }
  Status PreferNode(void* data, size_t size_bytes, uint32_t node) override {
    EXPECT_NE(data, nullptr);
    EXPECT_GT(size_bytes, 0u);
    preferred.push_back(node);
    return refuse_memory ? Unavailable("mbind: not allowed") : Status();
  }
  std::vector<Numbers> pinned;
  Numbers preferred;
  bool refuse_pins = false;
  bool refuse_memory = false;
};

TEST(Numa, ThreadsAndArraysAreDealtOutInTurn) {
  RecordedCalls calls;
  NumaPlacer placer({{0, {0, 1}}, {4, {2, 3}}}, calls);
  ASSERT_EQ(placer.nodes(), 2u);
  char byte = 0;
  for (size_t number = 0; number < 3; ++number) {
    placer.PinThread(placer.PlaceOfThread(number));
    placer.PlaceMemory(&byte, 1, placer.NextPlace());
  }
  EXPECT_EQ(calls.pinned, (std::vector<Numbers>{{0, 1}, {2, 3}, {0, 1}}));
  EXPECT_EQ(calls.preferred, Numbers({0, 4, 0})) << "by the kernel's numbers";
}

TEST(Numa, TriesEveryNodeAndSaysWhatWasRefused) {
  RecordedCalls calls;
  const NumaPlacer placer({{0, {0, 1}}, {4, {2, 3}}}, calls);
  EXPECT_TRUE(placer.Try().ok());
  EXPECT_EQ(calls.pinned.size(), 2u);
  EXPECT_EQ(calls.preferred, Numbers({0, 4}));
  calls.refuse_memory = true;
  EXPECT_NE(placer.Try().ToString().find("mbind: not allowed"), std::string::npos);
  calls.refuse_pins = true;
  EXPECT_NE(placer.Try().ToString().find("sched_setaffinity"), std::string::npos);
}

TEST_F(NumaNodesTest, TheKernelDoesWhatItIsAsked) {
  const auto nodes = ReadNumaNodes();
  ASSERT_TRUE(nodes.ok()) << nodes.status().ToString();
  if (nodes->empty()) {
    GTEST_SKIP() << "this system does not tell of nodes";
  }
  const NumaNode& node = nodes->back();
  constexpr size_t kSize = 1 << 16;
  void* const memory = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  Status placed;
  std::thread([&] {
    EXPECT_TRUE(RealNumaCalls().PinThread(std::span(&node.cpus.front(), 1)).ok());
    cpu_set_t set;
    EXPECT_EQ(sched_getaffinity(0, sizeof(set), &set), 0);
    EXPECT_EQ(CPU_COUNT(&set), 1);
    EXPECT_TRUE(CPU_ISSET(node.cpus.front(), &set));
    placed = RealNumaCalls().PreferNode(memory, kSize, node.id);
  }).join();
  int policy = -1;
  std::vector<unsigned long> mask(16);
  const long asked = syscall(SYS_get_mempolicy, &policy, mask.data(), 1024, memory, MPOL_F_ADDR);
  munmap(memory, kSize);
  if (!placed.ok() || asked != 0) {
    GTEST_SKIP() << "memory cannot be placed here: " << placed.ToString();
  }
  EXPECT_EQ(policy, MPOL_PREFERRED);
  EXPECT_NE(mask[node.id / 64] & (1ul << (node.id % 64)), 0u);
  EXPECT_FALSE(RealNumaCalls().PreferNode(memory, kSize, 4096).ok());
}

}  // namespace
}  // namespace longbow
