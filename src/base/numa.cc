#include "base/numa.h"

#include <linux/mempolicy.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>
#include <fstream>
#include <system_error>
#include <thread>

namespace longbow {
namespace {

constexpr uint32_t kNumbersMax = 8192;  // of CPUs and nodes; the kernel's own bound for x86-64
constexpr size_t kNodeBits = 1024;
constexpr size_t kPageBytes = 4096;

// Empty if there is no such file.
std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

std::string Reason() { return std::generic_category().message(errno); }

bool MayRunOn(uint32_t cpu, const cpu_set_t& usable) { return cpu < CPU_SETSIZE && CPU_ISSET(cpu, &usable); }

class RealCalls final : public NumaCalls {
 public:
  Status PinThread(std::span<const uint32_t> cpus) override {
    cpu_set_t set;
    CPU_ZERO(&set);
    for (const uint32_t cpu : cpus) {
      if (cpu < CPU_SETSIZE) {
        CPU_SET(cpu, &set);
      }
    }
    return sched_setaffinity(0, sizeof(set), &set) == 0 ? Status() : Unavailable("sched_setaffinity: " + Reason());
  }

  Status PreferNode(void* data, size_t size_bytes, uint32_t node) override {
    constexpr size_t kWordBits = 8 * sizeof(unsigned long);
    if (node >= kNodeBits) {
      return Unavailable("mbind: node " + std::to_string(node) + " is beyond the " + std::to_string(kNodeBits) +
                         " that are supported");
    }
    std::array<unsigned long, kNodeBits / kWordBits> mask{};
    mask[node / kWordBits] = 1ul << (node % kWordBits);
    // The kernel looks at one bit less than it is told of.
    const long answer = syscall(SYS_mbind, data, size_bytes, MPOL_PREFERRED, mask.data(), kNodeBits + 1, 0u);
    return answer == 0 ? Status() : Unavailable("mbind: " + Reason());
  }
};

}  // namespace

Result<std::vector<uint32_t>> ParseCpuList(std::string_view text) {
  std::vector<uint32_t> numbers;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    uint32_t first = 0;
    auto parsed = std::from_chars(at, end, first);
    uint32_t last = first;
    if (parsed.ec == std::errc() && parsed.ptr != end && *parsed.ptr == '-') {
      parsed = std::from_chars(parsed.ptr + 1, end, last);
    }
    const bool ends = parsed.ec == std::errc() && (parsed.ptr == end || (*parsed.ptr == ',' && parsed.ptr + 1 != end));
    if (!ends || last < first || last >= kNumbersMax) {
      return InvalidArgument("expected numbers and ranges like 0-3,8, each below " + std::to_string(kNumbersMax) +
                             ", got '" + std::string(text) + "'");
    }
    for (uint32_t number = first; number <= last; ++number) {
      numbers.push_back(number);
    }
    at = parsed.ptr == end ? end : parsed.ptr + 1;
  }
  std::sort(numbers.begin(), numbers.end());
  numbers.erase(std::unique(numbers.begin(), numbers.end()), numbers.end());
  return numbers;
}

Result<std::vector<NumaNode>> ReadNumaNodes(const std::string& folder) {
  const Result<std::vector<uint32_t>> ids = ParseCpuList(FirstLine(folder + "/online"));
  if (!ids.ok()) {
    return InvalidArgument(folder + "/online: " + std::string(ids.status().message()));
  }
  cpu_set_t usable;
  if (sched_getaffinity(0, sizeof(usable), &usable) != 0) {
    return std::vector<NumaNode>();
  }
  std::vector<NumaNode> nodes;
  for (const uint32_t id : *ids) {
    const std::string path = folder + "/node" + std::to_string(id) + "/cpulist";
    Result<std::vector<uint32_t>> cpus = ParseCpuList(FirstLine(path));
    if (!cpus.ok()) {
      return InvalidArgument(path + ": " + std::string(cpus.status().message()));
    }
    std::erase_if(*cpus, [&usable](uint32_t cpu) { return !MayRunOn(cpu, usable); });
    if (!cpus->empty()) {
      nodes.push_back({id, std::move(*cpus)});
    }
  }
  return nodes;
}

std::string NumaText(std::span<const NumaNode> nodes) {
  if (nodes.size() < 2) {
    return nodes.empty() ? "not known" : "1 node";
  }
  std::string text = std::to_string(nodes.size()) + " nodes: ";
  for (size_t i = 0; i < nodes.size(); ++i) {
    text += (i == 0 ? "" : ", ") + std::to_string(nodes[i].id) + " (" + std::to_string(nodes[i].cpus.size()) + " CPUs)";
  }
  return text;
}

NumaCalls& RealNumaCalls() {
  static RealCalls calls;
  return calls;
}

Status NumaPlacer::Try() const {
  void* const page = mmap(nullptr, kPageBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (page == MAP_FAILED) {
    return Unavailable("mmap: " + Reason());
  }
  Status status;
  std::thread tried([&] {
    for (const NumaNode& node : nodes_) {
      status = calls_.PinThread(node.cpus);
      if (status.ok()) {
        status = calls_.PreferNode(page, kPageBytes, node.id);
      }
      if (!status.ok()) {
        return;
      }
    }
  });
  tried.join();
  munmap(page, kPageBytes);
  return status;
}

}  // namespace longbow
