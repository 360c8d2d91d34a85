#include "base/process_stats.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <fstream>
#include <sstream>
#include <string>

namespace longbow {
namespace {

uint64_t CountOpenFiles() {
  DIR* directory = opendir("/proc/self/fd");
  if (directory == nullptr) {
    return 0;
  }
  uint64_t entries = 0;
  while (readdir(directory) != nullptr) {
    ++entries;
  }
  closedir(directory);
  return entries > 3 ? entries - 3 : 0;  // ".", ".." and the directory itself
}

// Seconds since 1970 at which the machine started.
double BootTimeSeconds() {
  std::ifstream stat("/proc/stat");
  for (std::string line; std::getline(stat, line);) {
    if (line.starts_with("btime ")) {
      return std::stod(line.substr(6));
    }
  }
  return 0;
}

}  // namespace

ProcessStats ReadProcessStats() {
  ProcessStats stats;
  std::ifstream file("/proc/self/stat");
  std::string line;
  std::getline(file, line);
  // proc(5): the name, in brackets, may hold blanks; the third field follows the last bracket.
  const size_t name_end = line.rfind(')');
  if (name_end != std::string::npos) {
    std::istringstream fields(line.substr(name_end + 1));
    std::string skipped;
    const auto skip = [&](int count) {
      for (int i = 0; i < count; ++i) {
        fields >> skipped;
      }
    };
    uint64_t user_ticks = 0, system_ticks = 0, start_ticks = 0, resident_pages = 0;
    skip(11);  // state to cmajflt: fields 3 to 13
    fields >> user_ticks >> system_ticks;
    skip(4);  // cutime to nice: fields 16 to 19
    fields >> stats.threads;
    skip(1);  // itrealvalue
    fields >> start_ticks >> stats.virtual_bytes >> resident_pages;
    const auto ticks_per_second = static_cast<double>(sysconf(_SC_CLK_TCK));
    stats.cpu_seconds = static_cast<double>(user_ticks + system_ticks) / ticks_per_second;
    stats.start_time_seconds = BootTimeSeconds() + static_cast<double>(start_ticks) / ticks_per_second;
    stats.resident_bytes = resident_pages * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  }
  stats.open_files = CountOpenFiles();
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    stats.open_files_max = limit.rlim_cur;
  }
  return stats;
}

}  // namespace longbow
