#include "base/memory_limit.h"

#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdio>
#include <fstream>
#include <optional>
#include <sstream>
#include <string_view>

namespace longbow {
namespace {

std::optional<uint64_t> NumberIn(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  uint64_t number = 0;
  if (!(file >> text)) {
    return std::nullopt;
  }
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;  // "max"
}

uint64_t MachineMemoryBytes(const std::string& root) {
  std::ifstream file(root + "/proc/meminfo");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("MemTotal:")) {
      return std::stoull(line.substr(sizeof("MemTotal:") - 1)) * 1024;
    }
  }
  return 0;
}

class Lowest {
 public:
  void Offer(uint64_t size_bytes, const std::string& source) {
    if (size_bytes > 0 && (limit_.size_bytes == 0 || size_bytes < limit_.size_bytes)) {
      limit_ = {size_bytes, source};
    }
  }
  // A group's own limit and those of the groups above it, up to the mount.
  void OfferGroups(const std::string& root, const std::string& mount, std::string group, const std::string& file) {
    while (true) {
      const std::string path = mount + (group == "/" ? "" : group) + "/" + file;
      if (const auto number = NumberIn(root + path)) {
        Offer(*number, path);
      }
      if (group.empty() || group == "/") {
        return;
      }
      group.resize(group.rfind('/'));
    }
  }
  MemoryLimit limit() const { return limit_; }

 private:
  MemoryLimit limit_;
};

}  // namespace

MemoryLimit ReadMemoryLimit(const std::string& root) {
  Lowest lowest;
  lowest.Offer(MachineMemoryBytes(root), "the machine's memory");
  std::ifstream groups(root + "/proc/self/cgroup");
  for (std::string line; std::getline(groups, line);) {
    // cgroups(7): hierarchy:controllers:path. In a container the path may be the host's: then only the mount is there.
    const size_t first = line.find(':');
    const size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const std::string group = line.substr(second + 1);
    if (controllers == ",,") {
      lowest.OfferGroups(root, "/sys/fs/cgroup", group, "memory.max");
      lowest.OfferGroups(root, "/sys/fs/cgroup/unified", group, "memory.max");
    } else if (controllers.find(",memory,") != std::string::npos) {
      lowest.OfferGroups(root, "/sys/fs/cgroup/memory", group, "memory.limit_in_bytes");
    }
  }
  return lowest.limit();
}

uint64_t ReadAnonymousMemoryBytes() {
  // proc(5): size, resident, shared; shared are the pages of files and of shared memory.
  std::ifstream file("/proc/self/statm");
  uint64_t size = 0, resident = 0, shared = 0;
  if (!(file >> size >> resident >> shared) || shared > resident) {
    return 0;
  }
  return (resident - shared) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

std::string SizeText(uint64_t size_bytes) {
  constexpr std::array<std::string_view, 5> kUnits = {"bytes", "KiB", "MiB", "GiB", "TiB"};
  auto value = static_cast<double>(size_bytes);
  size_t unit = 0;
  while (value >= 1024 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::array<char, 32> text{};
  const bool whole = value >= 100 || value == static_cast<double>(static_cast<uint64_t>(value));
  std::snprintf(text.data(), text.size(), whole ? "%.0f" : "%.1f", value);
  return std::string(text.data()) + " " + std::string(kUnits[unit]);
}

}  // namespace longbow
