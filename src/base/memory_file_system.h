// A file system in memory that knows what a power cut would leave. For tests and simulation.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"

namespace longbow {

// Files and directories as POSIX promises them and no better: bytes survive a power cut once Sync() of their file has
// returned, names once SyncDirectory() of their folder has. Directories cannot be renamed.
class MemoryFileSystem final : public FileSystem {
 public:
  // What a power cut leaves of that which was not synced.
  enum class Unsynced {
    kForgotten,  // nothing
    kTorn,       // each 512-byte sector of each write, each change of size and each name or not, at random
  };

  MemoryFileSystem();
  ~MemoryFileSystem() override;

  // Cuts the power and starts again. Files still open belong to the old world: what they write is not seen any more.
  // The same calls and seed give the same outcome.
  void Crash(Unsynced unsynced, uint64_t seed);
  // What Linux does to dirty pages when fsync fails: they read as written, count as clean, and no later Sync() saves
  // them.
  void ForgetDirtyPages();

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

 private:
  struct Node;
  class OpenFile;
  using Names = std::map<std::string, std::shared_ptr<Node>>;  // path -> node; a directory sorts before its entries

  Result<std::shared_ptr<Node>> Find(const std::string& path, const char* what) REQUIRES(mu_);

  Mutex mu_;  // never taken while a node's is held
  Names live_ GUARDED_BY(mu_);
  Names durable_ GUARDED_BY(mu_);
};

}  // namespace longbow
