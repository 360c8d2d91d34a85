#include "base/memory_file_system.h"

#include <algorithm>
#include <cstring>

#include "base/random.h"

namespace longbow {
namespace {

constexpr size_t kSectorBytes = 512;

std::string Clean(std::string path) {
  while (path.size() > 1 && path.back() == '/') {
    path.pop_back();
  }
  return path;
}

// "." for a bare name: the root of relative paths, which always exists, as "/" does.
std::string ParentOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) {
    return ".";
  }
  return slash == 0 ? "/" : path.substr(0, slash);
}

bool IsRoot(const std::string& path) { return path == "." || path == "/"; }

// A change of a file's bytes: a write, or with `resize` a new size.
struct Change {
  uint64_t offset = 0;
  std::vector<uint8_t> bytes;
  bool resize = false;
};

void Write(std::vector<uint8_t>& content, uint64_t offset, std::span<const uint8_t> bytes) {
  content.resize(std::max<size_t>(content.size(), offset + bytes.size()));
  std::copy(bytes.begin(), bytes.end(), content.begin() + static_cast<ptrdiff_t>(offset));
}

void Apply(std::vector<uint8_t>& content, const Change& change) {
  if (change.resize) {
    content.resize(change.offset);
  } else {
    Write(content, change.offset, change.bytes);
  }
}

void ApplyTorn(std::vector<uint8_t>& content, const Change& change, double survival, Random& random) {
  if (change.resize) {
    if (random.Fraction() < survival) {
      content.resize(change.offset);
    }
    return;
  }
  for (size_t begin = 0; begin < change.bytes.size();) {
    const uint64_t position = change.offset + begin;
    const size_t end = std::min<size_t>(change.bytes.size(), begin + kSectorBytes - position % kSectorBytes);
    if (random.Fraction() < survival) {
      Write(content, position, std::span(change.bytes).subspan(begin, end - begin));
    }
    begin = end;
  }
}

}  // namespace

struct MemoryFileSystem::Node {
  explicit Node(bool is_directory) : directory(is_directory) {}

  const bool directory;
  Mutex mu;
  std::vector<uint8_t> content GUARDED_BY(mu);
  std::vector<uint8_t> durable GUARDED_BY(mu);
  std::vector<Change> dirty GUARDED_BY(mu);  // in order; durable + dirty = content
  bool locked GUARDED_BY(mu) = false;

  void Make(Change change) REQUIRES(mu) {
    Apply(content, change);
    dirty.push_back(std::move(change));
  }

  void Settle() REQUIRES(mu) {
    for (const Change& change : dirty) {
      Apply(durable, change);
    }
    dirty.clear();
  }

  // The node as a power cut leaves it.
  std::shared_ptr<Node> AfterCrash(Unsynced unsynced, Random& random) {
    auto node = std::make_shared<Node>(directory);
    MutexLock lock(mu);
    MutexLock node_lock(node->mu);
    node->durable = durable;
    if (unsynced == Unsynced::kTorn) {
      const double survival = random.Fraction();
      for (const Change& change : dirty) {
        ApplyTorn(node->durable, change, survival, random);
      }
    }
    node->content = node->durable;
    return node;
  }
};

class MemoryFileSystem::OpenFile final : public File {
 public:
  OpenFile(std::shared_ptr<Node> node, std::string path, bool writable, bool holds_lock = false)
      : node_(std::move(node)), path_(std::move(path)), writable_(writable), holds_lock_(holds_lock) {}
  ~OpenFile() override {
    if (holds_lock_) {
      MutexLock lock(node_->mu);
      node_->locked = false;
    }
  }

  Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) override {
    MutexLock lock(node_->mu);
    const std::vector<uint8_t>& content = node_->content;
    if (offset >= content.size()) {
      return size_t{0};
    }
    const size_t count = std::min<size_t>(out.size(), content.size() - offset);
    if (count > 0) {
      std::memcpy(out.data(), content.data() + offset, count);
    }
    return count;
  }

  Status WriteAt(uint64_t offset, const Slices& pieces) override {
    LB_TRY(CheckWritable());
    Change change{.offset = offset};
    for (const Slice& piece : pieces) {
      change.bytes.insert(change.bytes.end(), piece.begin(), piece.end());
    }
    if (!change.bytes.empty()) {
      MutexLock lock(node_->mu);
      node_->Make(std::move(change));
    }
    return {};
  }

  Status Sync() override {
    MutexLock lock(node_->mu);
    node_->Settle();
    return {};
  }

  Status Allocate(uint64_t offset, uint64_t size) override {
    LB_TRY(CheckWritable());
    MutexLock lock(node_->mu);
    if (size > 0 && node_->content.size() < offset + size) {
      node_->Make({.offset = offset + size, .resize = true});
    }
    return {};
  }

  Status Truncate(uint64_t size) override {
    LB_TRY(CheckWritable());
    MutexLock lock(node_->mu);
    node_->Make({.offset = size, .resize = true});
    return {};
  }

  Result<uint64_t> Size() override {
    MutexLock lock(node_->mu);
    return static_cast<uint64_t>(node_->content.size());
  }

  const std::string& path() const override { return path_; }

 private:
  Status CheckWritable() const {
    return writable_ ? Status() : Internal("cannot write '" + path_ + "': opened for reading");
  }

  const std::shared_ptr<Node> node_;
  const std::string path_;
  const bool writable_;
  const bool holds_lock_;
};

MemoryFileSystem::MemoryFileSystem() = default;
MemoryFileSystem::~MemoryFileSystem() = default;

void MemoryFileSystem::Crash(Unsynced unsynced, uint64_t seed) {
  Random random(seed);
  MutexLock lock(mu_);
  Names candidates = durable_;
  candidates.insert(live_.begin(), live_.end());
  Names left;
  for (const auto& [path, any] : candidates) {
    const auto durable = durable_.find(path);
    const auto live = live_.find(path);
    std::shared_ptr<Node> node = durable == durable_.end() ? nullptr : durable->second;
    const std::shared_ptr<Node> now = live == live_.end() ? nullptr : live->second;
    if (node != now && unsynced == Unsynced::kTorn && random.Below(2) == 0) {
      node = now;
    }
    const std::string parent = ParentOf(path);
    if (node != nullptr && (IsRoot(parent) || left.count(parent) > 0)) {
      left.emplace(path, node->AfterCrash(unsynced, random));
    }
  }
  live_ = left;
  durable_ = std::move(left);
}

void MemoryFileSystem::ForgetDirtyPages() {
  MutexLock lock(mu_);
  for (const auto& [path, node] : live_) {
    MutexLock node_lock(node->mu);
    node->dirty.clear();
  }
}

Result<std::shared_ptr<MemoryFileSystem::Node>> MemoryFileSystem::Find(const std::string& path, const char* what) {
  const auto found = live_.find(path);
  if (found == live_.end()) {
    return NotFound(std::string(what) + " '" + path + "': No such file or directory");
  }
  return found->second;
}

Result<std::unique_ptr<File>> MemoryFileSystem::Open(const std::string& path, OpenMode mode) {
  MutexLock lock(mu_);
  const bool creates = mode == OpenMode::kCreate || mode == OpenMode::kCreateOrTruncate;
  const auto found = live_.find(path);
  if (found == live_.end() && creates) {
    const std::string parent = ParentOf(path);
    if (!IsRoot(parent)) {
      LB_TRY(Find(parent, "cannot create a file in").status());
    }
    live_[path] = std::make_shared<Node>(false);
  } else if (mode == OpenMode::kCreate) {
    return AlreadyExists("cannot create '" + path + "': File exists");
  }
  LB_ASSIGN(std::shared_ptr<Node> node, Find(path, "cannot open"));
  if (node->directory) {
    return FailedPrecondition("cannot open '" + path + "': Is a directory");
  }
  auto file = std::make_unique<OpenFile>(std::move(node), path, mode != OpenMode::kRead);
  if (mode == OpenMode::kCreateOrTruncate) {
    LB_TRY(file->Truncate(0));
  }
  return std::unique_ptr<File>(std::move(file));
}

Status MemoryFileSystem::CreateDirectories(const std::string& path) {
  MutexLock lock(mu_);
  for (std::string directory = Clean(path); !IsRoot(directory); directory = ParentOf(directory)) {
    const auto [entry, added] = live_.try_emplace(directory, nullptr);
    if (added) {
      entry->second = std::make_shared<Node>(true);
    } else if (!entry->second->directory) {
      return FailedPrecondition("cannot create directory '" + path + "': '" + directory + "' is a file");
    }
  }
  return {};
}

Result<std::vector<std::string>> MemoryFileSystem::List(const std::string& directory) {
  MutexLock lock(mu_);
  const std::string parent = Clean(directory);
  if (!IsRoot(parent)) {
    LB_TRY(Find(parent, "cannot list directory").status());
  }
  std::vector<std::string> names;
  for (const auto& [path, node] : live_) {
    if (ParentOf(path) == parent) {
      names.push_back(path.substr(path.rfind('/') + 1));
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

Result<bool> MemoryFileSystem::Exists(const std::string& path) {
  MutexLock lock(mu_);
  return IsRoot(Clean(path)) || live_.count(Clean(path)) > 0;
}

Status MemoryFileSystem::Rename(const std::string& from, const std::string& to) {
  MutexLock lock(mu_);
  LB_ASSIGN(std::shared_ptr<Node> node, Find(from, "cannot rename"));
  if (node->directory) {
    return Unimplemented("cannot rename '" + from + "': directories cannot be renamed in memory");
  }
  live_.erase(from);
  live_[to] = std::move(node);
  return {};
}

Status MemoryFileSystem::Remove(const std::string& path) {
  MutexLock lock(mu_);
  LB_ASSIGN(std::shared_ptr<Node> node, Find(path, "cannot remove"));
  if (node->directory) {
    return FailedPrecondition("cannot remove '" + path + "': Is a directory");
  }
  live_.erase(path);
  return {};
}

Status MemoryFileSystem::RemoveTree(const std::string& path) {
  MutexLock lock(mu_);
  const std::string root = Clean(path);
  std::erase_if(live_, [&](const auto& entry) { return entry.first == root || entry.first.starts_with(root + "/"); });
  return {};
}

Status MemoryFileSystem::SyncDirectory(const std::string& path) {
  MutexLock lock(mu_);
  const std::string parent = Clean(path);
  if (!IsRoot(parent)) {
    LB_TRY(Find(parent, "cannot sync directory").status());
  }
  std::erase_if(durable_, [&](const auto& entry) { return ParentOf(entry.first) == parent; });
  for (const auto& [entry, node] : live_) {
    if (ParentOf(entry) == parent) {
      durable_[entry] = node;
    }
  }
  return {};
}

Status MemoryFileSystem::SyncAll(const std::string& path) {
  MutexLock lock(mu_);
  if (!IsRoot(Clean(path))) {
    LB_TRY(Find(Clean(path), "cannot sync the file system of").status());
  }
  for (const auto& [entry, node] : live_) {
    MutexLock node_lock(node->mu);
    node->Settle();
  }
  durable_ = live_;
  return {};
}

Result<std::unique_ptr<File>> MemoryFileSystem::Lock(const std::string& path, const std::string& note) {
  LB_ASSIGN(const bool exists, Exists(path));
  LB_TRY(Open(path, exists ? OpenMode::kReadWrite : OpenMode::kCreate).status());
  MutexLock lock(mu_);
  LB_ASSIGN(std::shared_ptr<Node> node, Find(path, "cannot lock"));
  MutexLock node_lock(node->mu);
  if (node->locked) {
    return AlreadyExists("'" + path + "' is locked by " + std::string(node->content.begin(), node->content.end()));
  }
  node->locked = true;
  node->Make({.offset = 0, .resize = true});
  node->Make({.offset = 0, .bytes = std::vector<uint8_t>(note.begin(), note.end())});
  return std::unique_ptr<File>(std::make_unique<OpenFile>(node, path, true, true));
}

}  // namespace longbow
