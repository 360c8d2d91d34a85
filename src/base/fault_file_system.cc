#include "base/fault_file_system.h"

#include <thread>

namespace longbow {
namespace {

Status ToStatus(FaultKind kind, const std::string& path) {
  if (kind == FaultKind::kNoSpace) {
    return ResourceExhausted("cannot change '" + path + "': No space left on device (injected)");
  }
  return Unavailable("cannot access '" + path + "': Input/output error (injected)");
}

// The first `size` bytes of the pieces.
Slices Head(const Slices& pieces, size_t size) {
  Slices head;
  for (const Slice& piece : pieces) {
    const size_t take = std::min(size, piece.size());
    head.push_back(piece.Sub(0, take));
    size -= take;
  }
  return head;
}

}  // namespace

class FaultFileSystem::FaultFile final : public File {
 public:
  FaultFile(FaultFileSystem& owner, std::unique_ptr<File> base) : owner_(owner), base_(std::move(base)) {}

  Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) override {
    LB_TRY(owner_.Check(FileCall::kRead, false, path()));
    return base_->ReadAt(offset, out);
  }

  Result<Slice> Map(uint64_t offset, size_t size) override {
    LB_TRY(owner_.Check(FileCall::kRead, false, path()));
    return base_->Map(offset, size);
  }

  Status MapOver(void* address, uint64_t offset, size_t size) override {
    LB_TRY(owner_.Check(FileCall::kRead, false, path()));
    return base_->MapOver(address, offset, size);
  }

  Status WriteAt(uint64_t offset, const Slices& pieces) override {
    const std::optional<FaultKind> fault = owner_.Enter(FileCall::kWrite, true);
    if (!fault) {
      return base_->WriteAt(offset, pieces);
    }
    if (*fault == FaultKind::kShortWrite) {
      LB_TRY(base_->WriteAt(offset, Head(pieces, TotalSize(pieces) / 2)));
    }
    return ToStatus(*fault, path());
  }

  void StartWriting(uint64_t offset, uint64_t size) override { base_->StartWriting(offset, size); }

  Status Sync() override {
    LB_TRY(owner_.Check(FileCall::kSync, true, path()));
    std::this_thread::sleep_for(owner_.SyncDelay());
    return base_->Sync();
  }

  Status Allocate(uint64_t offset, uint64_t size) override {
    LB_TRY(owner_.Check(FileCall::kAllocate, true, path()));
    return base_->Allocate(offset, size);
  }

  Status Truncate(uint64_t size) override {
    LB_TRY(owner_.Check(FileCall::kTruncate, true, path()));
    return base_->Truncate(size);
  }

  Result<uint64_t> Size() override {
    LB_TRY(owner_.Check(FileCall::kSize, false, path()));
    return base_->Size();
  }

  void DropCache() override { base_->DropCache(); }

  const std::string& path() const override { return base_->path(); }

 private:
  FaultFileSystem& owner_;
  const std::unique_ptr<File> base_;
};

void FaultFileSystem::FailCall(FileCall call, uint64_t nth, FaultKind kind) {
  MutexLock lock(mu_);
  const auto index = static_cast<size_t>(call);
  plans_[index] = Plan{.at = counts_[index] + nth, .kind = kind};
}

void FaultFileSystem::FailAllFrom(uint64_t nth, FaultKind kind) {
  MutexLock lock(mu_);
  death_ = Plan{.at = changes_ + nth, .kind = kind};
}

void FaultFileSystem::Heal() {
  MutexLock lock(mu_);
  plans_.fill(std::nullopt);
  death_.reset();
  dead_ = false;
}

void FaultFileSystem::SlowSync(std::chrono::microseconds delay) {
  MutexLock lock(mu_);
  sync_delay_ = delay;
}

Status FaultFileSystem::FlipBit(const std::string& path, uint64_t offset, int bit) {
  LB_ASSIGN(std::unique_ptr<File> file, base_.Open(path, OpenMode::kReadWrite));
  uint8_t byte = 0;
  LB_ASSIGN(const size_t got, file->ReadAt(offset, {&byte, 1}));
  if (got == 0) {
    return InvalidArgument("cannot flip a bit of '" + path + "': offset " + std::to_string(offset) +
                           " is past its end");
  }
  byte = static_cast<uint8_t>(byte ^ (1u << bit));
  LB_TRY(file->WriteAt(offset, {Slice(&byte, 1, nullptr)}));
  return file->Sync();
}

uint64_t FaultFileSystem::Count(FileCall call) {
  MutexLock lock(mu_);
  return counts_[static_cast<size_t>(call)];
}

uint64_t FaultFileSystem::CountChanges() {
  MutexLock lock(mu_);
  return changes_;
}

std::optional<FaultKind> FaultFileSystem::Enter(FileCall call, bool changes) {
  MutexLock lock(mu_);
  const auto index = static_cast<size_t>(call);
  const uint64_t count = ++counts_[index];
  changes_ += changes ? 1 : 0;
  if (death_ && (dead_ || (changes && changes_ >= death_->at))) {
    // The call that dies may get half way; those after it do nothing.
    const FaultKind kind = dead_ && death_->kind == FaultKind::kShortWrite ? FaultKind::kIoError : death_->kind;
    dead_ = true;
    return kind;
  }
  if (plans_[index] && count == plans_[index]->at) {
    const FaultKind kind = plans_[index]->kind;
    plans_[index].reset();
    return kind;
  }
  return std::nullopt;
}

Status FaultFileSystem::Check(FileCall call, bool changes, const std::string& path) {
  const std::optional<FaultKind> fault = Enter(call, changes);
  return fault ? ToStatus(*fault, path) : Status();
}

std::chrono::microseconds FaultFileSystem::SyncDelay() {
  MutexLock lock(mu_);
  return sync_delay_;
}

Result<std::unique_ptr<File>> FaultFileSystem::Open(const std::string& path, OpenMode mode) {
  const bool changes = mode == OpenMode::kCreate || mode == OpenMode::kCreateOrTruncate;
  LB_TRY(Check(FileCall::kOpen, changes, path));
  LB_ASSIGN(std::unique_ptr<File> file, base_.Open(path, mode));
  return std::unique_ptr<File>(std::make_unique<FaultFile>(*this, std::move(file)));
}

Status FaultFileSystem::CreateDirectories(const std::string& path) {
  LB_TRY(Check(FileCall::kCreateDirectories, true, path));
  return base_.CreateDirectories(path);
}

Result<std::vector<std::string>> FaultFileSystem::List(const std::string& directory) {
  LB_TRY(Check(FileCall::kList, false, directory));
  return base_.List(directory);
}

Result<bool> FaultFileSystem::Exists(const std::string& path) {
  LB_TRY(Check(FileCall::kExists, false, path));
  return base_.Exists(path);
}

Status FaultFileSystem::Rename(const std::string& from, const std::string& to) {
  LB_TRY(Check(FileCall::kRename, true, from));
  return base_.Rename(from, to);
}

Status FaultFileSystem::Remove(const std::string& path) {
  LB_TRY(Check(FileCall::kRemove, true, path));
  return base_.Remove(path);
}

Status FaultFileSystem::RemoveTree(const std::string& path) {
  LB_TRY(Check(FileCall::kRemove, true, path));
  return base_.RemoveTree(path);
}

Status FaultFileSystem::SyncDirectory(const std::string& path) {
  LB_TRY(Check(FileCall::kSyncDirectory, true, path));
  return base_.SyncDirectory(path);
}

Status FaultFileSystem::SyncAll(const std::string& path) {
  LB_TRY(Check(FileCall::kSyncAll, true, path));
  std::this_thread::sleep_for(SyncDelay());
  return base_.SyncAll(path);
}

Result<std::unique_ptr<File>> FaultFileSystem::Lock(const std::string& path, const std::string& note) {
  LB_TRY(Check(FileCall::kLock, true, path));
  LB_ASSIGN(std::unique_ptr<File> file, base_.Lock(path, note));
  return std::unique_ptr<File>(std::make_unique<FaultFile>(*this, std::move(file)));
}

Status FaultFileSystem::MapScratch(const std::string& directory, void* address, size_t size) {
  LB_TRY(Check(FileCall::kAllocate, true, directory));
  return base_.MapScratch(directory, address, size);
}

}  // namespace longbow
