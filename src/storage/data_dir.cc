#include "storage/data_dir.h"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <vector>

#include "base/kill_point.h"
#include "base/utc_time.h"

namespace longbow::storage {
namespace {

constexpr std::string_view kPrefix = "longbow-data ";
constexpr int kVersion = 1;
constexpr char kRestoring[] = "RESTORING";

std::string FormatLine() { return std::string(kPrefix) + std::to_string(kVersion) + "\n"; }

std::string WithoutSlash(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

// Ours (true), empty (false), or somebody else's (error). What a first start leaves that was cut short does not count.
Result<bool> IsInitialised(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(std::vector<std::string> names, fs.List(path));
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (has("FORMAT")) {
    return true;
  }
  if (has(kRestoring)) {
    return FailedPrecondition("restoring a snapshot into '" + path +
                              "' was not finished: run `longbow restore` again, or remove the folder");
  }
  std::erase_if(names, [](const std::string& name) {
    return name == "LOCK" || name == "FORMAT.tmp" || name == "RESTORING.tmp" || name == "lost+found";
  });
  if (names.empty()) {
    return false;
  }
  return FailedPrecondition("'" + path + "' is not a data folder of ours and not empty (it holds '" + names.front() +
                            "'): name another folder, or the right one");
}

Status CheckFormat(FileSystem& fs, const std::string& path) {
  const std::string file = path + "/FORMAT";
  LB_ASSIGN(const std::string content, ReadWholeFile(fs, file));
  if (content == FormatLine()) {
    return {};
  }
  const std::string_view digits = std::string_view(content).substr(std::min(content.size(), kPrefix.size()));
  const bool is_ours = content.starts_with(kPrefix) && digits.size() >= 2 && digits.back() == '\n' &&
                       digits.front() != '0' &&
                       std::all_of(digits.begin(), digits.end() - 1, [](char c) { return c >= '0' && c <= '9'; });
  if (is_ours) {
    return FailedPrecondition("'" + file + "' says format " + std::string(digits.substr(0, digits.size() - 1)) +
                              ", this program knows " + std::to_string(kVersion) +
                              ": start the version that wrote the folder");
  }
  return DataLoss("'" + file + "' is damaged at offset 0: expected \"" + std::string(kPrefix) +
                  std::to_string(kVersion) + "\"; nothing was changed; restore the data folder from a snapshot");
}

Result<std::unique_ptr<File>> TakeLock(FileSystem& fs, const std::string& path, const std::string& note) {
  const std::string file = path + "/LOCK";
  Result<std::unique_ptr<File>> lock = fs.Lock(file, note);
  if (!lock.ok() && lock.status().code() == StatusCode::kAlreadyExists) {
    LB_ASSIGN(const std::string holder, ReadWholeFile(fs, file));
    return FailedPrecondition("data folder '" + path + "' is in use by " +
                              (holder.empty() ? "another process" : holder) +
                              ": stop that process, or name another folder");
  }
  return lock;
}

std::string NoteOf(const std::string& owner, Clock& clock) {
  return "pid " + std::to_string(::getpid()) + " (" + owner + ", since " + UtcTime(clock.WallNowNs()) + ")";
}

// Whether a restore into the folder may begin, or go on.
Status CheckMayRestore(FileSystem& fs, const std::string& path, const std::string& snapshot) {
  LB_ASSIGN(const std::vector<std::string> names, fs.List(path));
  const auto has = [&](const char* name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  if (has("FORMAT")) {
    return FailedPrecondition("'" + path + "' is a data folder already: restore into an empty one");
  }
  if (!has(kRestoring)) {
    return IsInitialised(fs, path).status();
  }
  LB_ASSIGN(const std::string before, ReadWholeFile(fs, path + "/" + kRestoring));
  if (before != snapshot + "\n") {
    return FailedPrecondition("'" + path + "' holds a part of snapshot " + before.substr(0, before.find('\n')) +
                              ": restore that one, or remove the folder");
  }
  return {};
}

}  // namespace

Status MakeFolderDurably(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (exists) {
    return {};
  }
  if (ParentOf(path) != path) {
    LB_TRY(MakeFolderDurably(fs, ParentOf(path)));
  }
  LB_TRY(fs.CreateDirectories(path));
  return fs.SyncDirectory(ParentOf(path));
}

Result<std::unique_ptr<DataDir>> DataDir::Open(FileSystem& fs, const std::string& given_path, const std::string& owner,
                                               Clock& clock) {
  const std::string path = WithoutSlash(given_path);
  LB_TRY(MakeFolderDurably(fs, path));
  LB_KILL_POINT("data_dir.made");
  LB_ASSIGN(const bool initialised, IsInitialised(fs, path));
  if (initialised) {
    LB_TRY(CheckFormat(fs, path));
  }
  LB_ASSIGN(std::unique_ptr<File> lock, TakeLock(fs, path, NoteOf(owner, clock)));
  LB_KILL_POINT("data_dir.locked");
  if (!initialised) {
    // An earlier start may have made the folder and ended before its name was durable.
    LB_TRY(fs.SyncDirectory(ParentOf(path)));
    LB_TRY(WriteWholeFile(fs, path + "/FORMAT", FormatLine()));
    LB_KILL_POINT("data_dir.formatted");
  }
  LB_ASSIGN(const bool was_restored, fs.Exists(path + "/" + kRestoring));
  if (was_restored) {  // and ended right before it would have removed this
    LB_TRY(fs.Remove(path + "/" + kRestoring));
  }
  return std::unique_ptr<DataDir>(new DataDir(std::move(lock)));
}

Result<std::unique_ptr<DataDir>> DataDir::BeginRestore(FileSystem& fs, const std::string& given_path,
                                                       const std::string& snapshot, Clock& clock) {
  const std::string path = WithoutSlash(given_path);
  LB_TRY(MakeFolderDurably(fs, path));
  LB_TRY(CheckMayRestore(fs, path, snapshot));
  LB_ASSIGN(std::unique_ptr<File> lock, TakeLock(fs, path, NoteOf("longbow restore", clock)));
  LB_TRY(CheckMayRestore(fs, path, snapshot));  // another process may have been faster
  LB_TRY(WriteWholeFile(fs, path + "/" + kRestoring, snapshot + "\n"));
  LB_KILL_POINT("restore.marked");
  return std::unique_ptr<DataDir>(new DataDir(std::move(lock)));
}

Status DataDir::FinishRestore(FileSystem& fs, const std::string& path) {
  LB_TRY(WriteWholeFile(fs, path + "/FORMAT", FormatLine()));
  LB_KILL_POINT("restore.formatted");
  LB_TRY(fs.Remove(path + "/" + kRestoring));
  return fs.SyncDirectory(path);
}

}  // namespace longbow::storage
