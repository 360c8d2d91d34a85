// Snapshots in a folder: written to "partial/", synced, renamed into their place.
#include <array>
#include <atomic>
#include <filesystem>
#include <mutex>
#include <set>
#include <utility>

#include "base/kill_point.h"
#include "storage/data_dir.h"
#include "storage/snapshot_target.h"

namespace longbow::storage {
namespace {

constexpr std::array kFolders = {"objects", "snapshots"};
constexpr char kPartial[] = "partial";

class FileWriter final : public SnapshotTarget::Writer {
 public:
  FileWriter(FileSystem& fs, std::unique_ptr<File> file, std::string path)
      : fs_(fs), file_(std::move(file)), path_(std::move(path)) {}
  ~FileWriter() override {
    if (!finished_) {
      (void)fs_.Remove(file_->path());  // else the next snapshot clears it
    }
  }

  Status Append(std::span<const uint8_t> bytes) override {
    LB_TRY(file_->WriteAt(size_, {Slice(bytes.data(), bytes.size(), nullptr)}));
    size_ += bytes.size();
    return {};
  }

  Status Finish() override {
    LB_TRY(file_->Sync());
    LB_KILL_POINT("snapshot.object.synced");
    LB_TRY(fs_.Rename(file_->path(), path_));
    finished_ = true;
    return {};
  }

 private:
  FileSystem& fs_;
  const std::unique_ptr<File> file_;
  const std::string path_;
  uint64_t size_ = 0;
  bool finished_ = false;
};

class FileReader final : public SnapshotTarget::Reader {
 public:
  explicit FileReader(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Result<size_t> Read(std::span<uint8_t> out) override {
    LB_ASSIGN(const size_t got, file_->ReadAt(offset_, out));
    offset_ += got;
    return got;
  }

 private:
  const std::unique_ptr<File> file_;
  uint64_t offset_ = 0;
};

class FolderTarget final : public SnapshotTarget {
 public:
  FolderTarget(FileSystem& fs, std::string folder) : fs_(fs), folder_(std::move(folder)) {}

  Status PrepareToWrite() {
    LB_TRY(MakeFolderDurably(fs_, folder_));
    Result<std::unique_ptr<File>> lock = fs_.Lock(PathOf("LOCK"), "a snapshot is being written");
    if (lock.status().code() == StatusCode::kAlreadyExists) {
      return FailedPrecondition(std::string(lock.status().message()));
    }
    LB_ASSIGN(lock_, std::move(lock));
    for (const char* name : kFolders) {
      LB_TRY(fs_.CreateDirectories(PathOf(name)));
    }
    LB_ASSIGN(const bool exists, fs_.Exists(PathOf(kPartial)));
    if (exists) {
      LB_TRY(fs_.RemoveTree(PathOf(kPartial)));
    }
    LB_TRY(fs_.CreateDirectories(PathOf(kPartial)));
    return fs_.SyncDirectory(folder_);
  }

  const std::string& where() const override { return folder_; }
  size_t streams() const override { return 2; }  // one reads while another waits for its fsync

  Result<std::vector<Object>> List(const std::string& folder) override {
    LB_ASSIGN(const bool exists, fs_.Exists(PathOf(folder)));
    std::vector<Object> objects;
    if (!exists) {
      return objects;
    }
    LB_ASSIGN(const std::vector<std::string> names, fs_.List(PathOf(folder)));
    for (const std::string& name : names) {
      LB_ASSIGN(const std::unique_ptr<File> file, fs_.Open(PathOf(folder + "/" + name), OpenMode::kRead));
      LB_ASSIGN(const uint64_t size, file->Size());
      objects.push_back({name, size});
    }
    return objects;
  }

  Result<std::unique_ptr<Writer>> Create(const std::string& name) override {
    // Two threads may have files of equal content.
    const std::string partial = PathOf(kPartial) + "/" + std::to_string(++created_);
    LB_ASSIGN(std::unique_ptr<File> file, fs_.Open(partial, OpenMode::kCreate));
    NoteUnsynced(name);
    return std::unique_ptr<Writer>(std::make_unique<FileWriter>(fs_, std::move(file), PathOf(name)));
  }

  Result<std::unique_ptr<Reader>> Open(const std::string& name) override {
    LB_ASSIGN(std::unique_ptr<File> file, fs_.Open(PathOf(name), OpenMode::kRead));
    return std::unique_ptr<Reader>(std::make_unique<FileReader>(std::move(file)));
  }

  Status Remove(const std::string& name) override {
    NoteUnsynced(name);
    const Status removed = fs_.Remove(PathOf(name));
    return removed.code() == StatusCode::kNotFound ? Status() : removed;
  }

  Status Sync() override {
    const std::lock_guard lock(mu_);
    for (const std::string& folder : std::exchange(unsynced_, {})) {
      LB_TRY(fs_.SyncDirectory(PathOf(folder)));
    }
    return {};
  }

 private:
  std::string PathOf(const std::string& name) const { return folder_ + "/" + name; }
  void NoteUnsynced(const std::string& name) {
    const std::lock_guard lock(mu_);
    unsynced_.insert(std::filesystem::path(name).parent_path().string());
  }

  FileSystem& fs_;
  const std::string folder_;
  std::unique_ptr<File> lock_;  // while writing
  std::atomic<uint64_t> created_{0};
  std::mutex mu_;
  std::set<std::string> unsynced_;  // guarded by mu_: folders with names that a power cut may take
};

}  // namespace

Result<std::unique_ptr<SnapshotTarget>> OpenFolderTarget(FileSystem& fs, const std::string& folder,
                                                         TargetAccess access) {
  auto target = std::make_unique<FolderTarget>(fs, folder);
  if (access == TargetAccess::kWrite) {
    LB_TRY(target->PrepareToWrite());
  } else {
    LB_ASSIGN(const bool exists, fs.Exists(folder));
    if (!exists) {
      return NotFound("there is no folder '" + folder + "' with snapshots");
    }
  }
  return std::unique_ptr<SnapshotTarget>(std::move(target));
}

}  // namespace longbow::storage
