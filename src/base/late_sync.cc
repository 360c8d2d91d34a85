#include "base/late_sync.h"

#include <algorithm>
#include <atomic>

namespace longbow {

class LateSync::LateFile final : public File {
 public:
  LateFile(LateSync& owner, std::shared_ptr<File> base) : owner_(owner), base_(std::move(base)) {}

  Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) override { return base_->ReadAt(offset, out); }
  Status WriteAt(uint64_t offset, const Slices& pieces) override {
    unsynced_bytes_ += TotalSize(pieces);
    return base_->WriteAt(offset, pieces);
  }
  Status Sync() override {
    if (unsynced_bytes_ >= kSyncedAloneBytes) {
      LB_TRY(base_->Sync());
      unsynced_bytes_ = 0;
      return {};
    }
    owner_.Owe(base_);
    return {};
  }
  Status Allocate(uint64_t offset, uint64_t size) override { return base_->Allocate(offset, size); }
  Status Truncate(uint64_t size) override { return base_->Truncate(size); }
  Result<uint64_t> Size() override { return base_->Size(); }
  void DropCache() override { base_->DropCache(); }
  const std::string& path() const override { return base_->path(); }
  Result<Slice> Map(uint64_t offset, size_t size) override { return base_->Map(offset, size); }
  Status MapOver(void* address, uint64_t offset, size_t size) override { return base_->MapOver(address, offset, size); }

 private:
  LateSync& owner_;
  const std::shared_ptr<File> base_;
  std::atomic<uint64_t> unsynced_bytes_{0};
};

Result<std::unique_ptr<File>> LateSync::Open(const std::string& path, OpenMode mode) {
  LB_ASSIGN(std::shared_ptr<File> file, base_.Open(path, mode));
  return std::unique_ptr<File>(std::make_unique<LateFile>(*this, std::move(file)));
}

Status LateSync::SyncDirectory(const std::string& path) {
  MutexLock lock(mu_);
  if (!many_) {
    directories_.insert(path);
    ForgetIfManyLocked();
  }
  return {};
}

void LateSync::Owe(std::shared_ptr<File> file) {
  MutexLock lock(mu_);
  if (!many_ && std::find(files_.begin(), files_.end(), file) == files_.end()) {
    files_.push_back(std::move(file));
    ForgetIfManyLocked();
  }
}

void LateSync::ForgetIfManyLocked() {
  if (files_.size() + directories_.size() > kSyncedOneByOneMax) {
    many_ = true;
    files_.clear();
    directories_.clear();
  }
}

Status LateSync::Settle() {
  MutexLock lock(mu_);
  if (many_) {
    LB_TRY(base_.SyncAll(directory_));
    many_ = false;
    return {};
  }
  for (const std::shared_ptr<File>& file : files_) {
    LB_TRY(file->Sync());
  }
  for (const std::string& directory : directories_) {
    LB_TRY(base_.SyncDirectory(directory));
  }
  files_.clear();
  directories_.clear();
  return {};
}

}  // namespace longbow
