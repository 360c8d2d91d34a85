// A file system that fails where a test tells it to, in front of another one. For tests.
#pragma once

#include <array>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"

namespace longbow {

// What is asked of a file or file system; faults and counts go by it.
enum class FileCall : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSync,
  kAllocate,
  kTruncate,
  kSize,
  kCreateDirectories,
  kList,
  kExists,
  kRename,
  kRemove,
  kSyncDirectory,
  kSyncAll,
  kLock,
};
inline constexpr size_t kFileCalls = 15;

enum class FaultKind : uint8_t {
  kIoError,     // UNAVAILABLE, nothing done
  kNoSpace,     // RESOURCE_EXHAUSTED, nothing done
  kShortWrite,  // the first half of the bytes is written, then kIoError; like kIoError where nothing is written
};

// Thread safe. The other file system must outlive it and its files.
class FaultFileSystem final : public FileSystem {
 public:
  explicit FaultFileSystem(FileSystem& base) : base_(base) {}

  // The `nth` call of this kind from now on (1 = the next) fails once.
  void FailCall(FileCall call, uint64_t nth, FaultKind kind);
  // The `nth` call from now on that changes anything fails, and so does every call after it: the moment a machine dies.
  void FailAllFrom(uint64_t nth, FaultKind kind);
  // No faults any more; counts stay.
  void Heal();
  // Every Sync takes at least this long.
  void SlowSync(std::chrono::microseconds delay);

  // Turns one bit of a stored file over, as a bad disk does.
  Status FlipBit(const std::string& path, uint64_t offset, int bit);

  // Calls so far, those that failed included.
  uint64_t Count(FileCall call);
  uint64_t CountChanges();

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectories(const std::string& path) override;
  Result<std::vector<std::string>> List(const std::string& directory) override;
  Result<bool> Exists(const std::string& path) override;
  Status Rename(const std::string& from, const std::string& to) override;
  Status Remove(const std::string& path) override;
  Status RemoveTree(const std::string& path) override;
  Status SyncDirectory(const std::string& path) override;
  Status SyncAll(const std::string& path) override;
  Result<std::unique_ptr<File>> Lock(const std::string& path, const std::string& note) override;
  // Fails as Allocate of a file does.
  Status MapScratch(const std::string& directory, void* address, size_t size) override;

 private:
  class FaultFile;
  struct Plan {
    uint64_t at = 0;  // the count at which to fail
    FaultKind kind = FaultKind::kIoError;
  };

  // Counts the call; what it must fail with, if it must.
  std::optional<FaultKind> Enter(FileCall call, bool changes);
  Status Check(FileCall call, bool changes, const std::string& path);
  std::chrono::microseconds SyncDelay();

  FileSystem& base_;
  Mutex mu_;
  std::array<uint64_t, kFileCalls> counts_ GUARDED_BY(mu_){};
  uint64_t changes_ GUARDED_BY(mu_) = 0;
  std::array<std::optional<Plan>, kFileCalls> plans_ GUARDED_BY(mu_);
  std::optional<Plan> death_ GUARDED_BY(mu_);
  bool dead_ GUARDED_BY(mu_) = false;
  std::chrono::microseconds sync_delay_ GUARDED_BY(mu_){0};
};

}  // namespace longbow
