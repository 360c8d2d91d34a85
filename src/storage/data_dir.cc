#include "storage/data_dir.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "storage/utc_time.h"

namespace longbow::storage {
namespace {

constexpr char kFormatFile[] = "FORMAT";
constexpr char kLockFile[] = "LOCK";
constexpr std::string_view kPrefix = "longbow-data ";
constexpr int kVersion = 1;

std::string FormatLine() { return std::string(kPrefix) + std::to_string(kVersion) + "\n"; }

// A first start that was cut short leaves these and nothing else.
bool IsLeftover(const std::string& name) { return name == kLockFile || name.starts_with(kFormatFile); }

Status CheckFormat(FileSystem& fs, const std::string& path) {
  const std::string file = path + "/" + kFormatFile;
  LB_ASSIGN(const std::string content, ReadWholeFile(fs, file));
  if (content == FormatLine()) {
    return {};
  }
  const std::string_view digits = std::string_view(content).substr(std::min(content.size(), kPrefix.size()));
  const bool is_ours = content.starts_with(kPrefix) && digits.size() >= 2 && digits.back() == '\n' &&
                       std::all_of(digits.begin(), digits.end() - 1, [](char c) { return c >= '0' && c <= '9'; });
  if (is_ours) {
    return FailedPrecondition("'" + file + "' says format " + std::string(digits.substr(0, digits.size() - 1)) + ", this version knows " +
                              std::to_string(kVersion) + ": start the version that wrote the folder");
  }
  return DataLoss("'" + file + "' is damaged at offset 0: expected \"" + std::string(kPrefix) + std::to_string(kVersion) +
                  "\": restore the data folder from a snapshot");
}

// Ours (true), empty or missing (false), or somebody else's (error).
Result<bool> IsInitialised(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (!exists) {
    return false;
  }
  LB_ASSIGN(const bool has_format, fs.Exists(path + "/" + kFormatFile));
  if (has_format) {
    return true;
  }
  LB_ASSIGN(const std::vector<std::string> names, fs.List(path));
  for (const std::string& name : names) {
    if (!IsLeftover(name)) {
      return FailedPrecondition("'" + path + "' is not a data folder of ours and not empty (it holds '" + name +
                                "'): name another folder, or the right one");
    }
  }
  return false;
}

Result<std::unique_ptr<File>> TakeLock(FileSystem& fs, const std::string& path, const std::string& owner) {
  const std::string note = "pid " + std::to_string(getpid()) + " (" + owner + ", since " + UtcTime(RealClock().WallNowNs()) + ")";
  Result<std::unique_ptr<File>> lock = fs.Lock(path + "/" + kLockFile, note);
  if (!lock.ok() && lock.status().code() == StatusCode::kFailedPrecondition) {
    LB_ASSIGN(const std::string holder, ReadWholeFile(fs, path + "/" + kLockFile));
    return FailedPrecondition("data folder '" + path + "' is in use by " + holder + ": stop that process, or name another folder");
  }
  return lock;
}

}  // namespace

Result<std::unique_ptr<DataDir>> DataDir::Open(FileSystem& fs, const std::string& path, const std::string& owner) {
  LB_ASSIGN(const bool initialised, IsInitialised(fs, path));
  if (initialised) {
    LB_TRY(CheckFormat(fs, path));
  } else {
    LB_TRY(fs.CreateDirectories(path));
  }
  LB_ASSIGN(std::unique_ptr<File> lock, TakeLock(fs, path, owner));
  if (!initialised) {
    LB_TRY(WriteWholeFile(fs, path + "/" + kFormatFile, FormatLine()));
  }
  return std::unique_ptr<DataDir>(new DataDir(std::move(lock)));
}

}  // namespace longbow::storage
