// A file system in front of another that makes many small files durable at once instead of one by one.
#pragma once

#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/mutex.h"

namespace longbow {

// Syncs of files of less than kSyncedAloneBytes, and of directories, return at once and are owed until Settle(): a few
// are then done one by one, more of them by one FileSystem::SyncAll, which is one commit of the file system's journal
// where ten thousand datasets of three rows would be seventy thousand. Everything else is passed on. Thread safe.
class LateSync final : public FileSystem {
 public:
  // `directory`: in the file system that SyncAll is asked for. `base` must outlive this and its files.
  LateSync(FileSystem& base, std::string directory) : base_(base), directory_(std::move(directory)) {}

  static constexpr uint64_t kSyncedAloneBytes = 1u << 20;  // its writing takes longer than a sync
  static constexpr size_t kSyncedOneByOneMax = 24;         // files and directories; each file is kept open until then

  // On OK everything whose sync was owed is durable. After an error nothing is known, as after File::Sync.
  Status Settle();

  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override;
  Status CreateDirectories(const std::string& path) override { return base_.CreateDirectories(path); }
  Result<std::vector<std::string>> List(const std::string& directory) override { return base_.List(directory); }
  Result<bool> Exists(const std::string& path) override { return base_.Exists(path); }
  Status Rename(const std::string& from, const std::string& to) override { return base_.Rename(from, to); }
  Status Remove(const std::string& path) override { return base_.Remove(path); }
  Status RemoveTree(const std::string& path) override { return base_.RemoveTree(path); }
  Status SyncDirectory(const std::string& path) override;
  Status SyncAll(const std::string& path) override { return base_.SyncAll(path); }
  Result<std::unique_ptr<File>> Lock(const std::string& path, const std::string& note) override {
    return base_.Lock(path, note);
  }

 private:
  class LateFile;
  void Owe(std::shared_ptr<File> file);
  void ForgetIfManyLocked() REQUIRES(mu_);

  FileSystem& base_;
  const std::string directory_;
  Mutex mu_;
  std::vector<std::shared_ptr<File>> files_ GUARDED_BY(mu_);
  std::set<std::string> directories_ GUARDED_BY(mu_);
  bool many_ GUARDED_BY(mu_) = false;  // more than are synced one by one: the lists are not kept
};

}  // namespace longbow
