#include "base/file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/kill_point.h"

namespace longbow {
namespace {

// Linux moves at most this much per call (read(2)).
constexpr size_t kIoSizeMaxBytes = 0x7ffff000;

Status ErrnoStatus(const char* what, const std::string& path, int error) {
  std::string message = std::string(what) + " '" + path + "': " + std::generic_category().message(error);
  switch (error) {
    case ENOENT:
      return NotFound(std::move(message));
    case EEXIST:
      return AlreadyExists(std::move(message));
    case ENOSPC:
    case EDQUOT:
    case EMFILE:
    case ENFILE:
    case ENOMEM:
      return ResourceExhausted(std::move(message));
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
    case ENOTDIR:
    case ENOTEMPTY:
    case ENAMETOOLONG:
    case ELOOP:
    case EXDEV:
    case EFBIG:
      return FailedPrecondition(std::move(message));
    case EBADF:
    case EINVAL:
    case EFAULT:
      return Internal(std::move(message));
    default:
      return Unavailable(std::move(message));
  }
}

Status TooShort(const std::string& path, uint64_t offset, size_t size, uint64_t size_bytes) {
  return DataLoss("'" + path + "' is cut short: " + std::to_string(size) + " bytes wanted at offset " +
                  std::to_string(offset) + ", the file has " + std::to_string(size_bytes));
}

// Runs a system call again for as long as a signal interrupts it.
template <typename Call>
auto Uninterrupted(Call call) {
  decltype(call()) result;
  do {
    result = call();
  } while (result < 0 && errno == EINTR);
  return result;
}

// The pieces as pwritev wants them, without the empty ones.
std::vector<iovec> ToVectors(const Slices& pieces) {
  std::vector<iovec> vectors;
  vectors.reserve(pieces.size());
  for (const Slice& piece : pieces) {
    if (piece.size() > 0) {
      vectors.push_back({const_cast<uint8_t*>(piece.data()), piece.size()});
    }
  }
  return vectors;
}

// How many vectors from `first` one call may take.
int CountForOneCall(const std::vector<iovec>& vectors, size_t first) {
  size_t size_bytes = 0;
  size_t count = 0;
  while (first + count < vectors.size() && count < IOV_MAX && size_bytes <= kIoSizeMaxBytes) {
    size_bytes += vectors[first + count].iov_len;
    ++count;
  }
  return static_cast<int>(count);
}

class RealFile final : public File {
 public:
  RealFile(int fd, std::string path) : fd_(fd), path_(std::move(path)) {}
  ~RealFile() override { ::close(fd_); }
  RealFile(const RealFile&) = delete;
  RealFile& operator=(const RealFile&) = delete;

  Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) override {
    size_t done = 0;
    while (done < out.size()) {
      const size_t want = std::min(out.size() - done, kIoSizeMaxBytes);
      const ssize_t got =
          Uninterrupted([&] { return ::pread(fd_, out.data() + done, want, static_cast<off_t>(offset + done)); });
      if (got < 0) {
        return ErrnoStatus("cannot read", path_, errno);
      }
      if (got == 0) {
        break;
      }
      done += static_cast<size_t>(got);
    }
    return done;
  }

  Status WriteAt(uint64_t offset, const Slices& pieces) override {
    std::vector<iovec> vectors = ToVectors(pieces);
    size_t first = 0;
    while (first < vectors.size()) {
      const int count = CountForOneCall(vectors, first);
      const ssize_t written =
          Uninterrupted([&] { return ::pwritev(fd_, vectors.data() + first, count, static_cast<off_t>(offset)); });
      if (written < 0) {
        return ErrnoStatus("cannot write", path_, errno);
      }
      if (written == 0) {
        return Unavailable("cannot write '" + path_ + "': the system wrote nothing and gave no reason");
      }
      offset += static_cast<uint64_t>(written);
      size_t left = static_cast<size_t>(written);
      while (first < vectors.size() && left >= vectors[first].iov_len) {
        left -= vectors[first].iov_len;
        ++first;
      }
      if (left > 0) {
        vectors[first].iov_base = static_cast<uint8_t*>(vectors[first].iov_base) + left;
        vectors[first].iov_len -= left;
      }
    }
    return {};
  }

  void StartWriting(uint64_t offset, uint64_t size) override {
    (void)::sync_file_range(fd_, static_cast<off_t>(offset), static_cast<off_t>(size), SYNC_FILE_RANGE_WRITE);
  }

  Status Sync() override {
    // Not repeated, not even after EINTR: the kernel may have dropped the dirty pages with the error, and a second call
    // would report success for bytes that are gone.
    if (::fdatasync(fd_) != 0) {
      return ErrnoStatus("cannot sync", path_, errno);
    }
    return {};
  }

  Status Allocate(uint64_t offset, uint64_t size) override {
    if (size == 0) {
      return {};
    }
    const int result =
        Uninterrupted([&] { return ::fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(size)); });
    if (result == 0) {
      return {};
    }
    if (errno != EOPNOTSUPP) {
      return ErrnoStatus("cannot allocate space in", path_, errno);
    }
    // File systems without extents (NFS 3, some FUSE): the C library writes into every block instead.
    int error = 0;
    do {
      error = ::posix_fallocate(fd_, static_cast<off_t>(offset), static_cast<off_t>(size));
    } while (error == EINTR);
    return error == 0 ? Status() : ErrnoStatus("cannot allocate space in", path_, error);
  }

  Status Truncate(uint64_t size) override {
    if (Uninterrupted([&] { return ::ftruncate(fd_, static_cast<off_t>(size)); }) != 0) {
      return ErrnoStatus("cannot truncate", path_, errno);
    }
    return {};
  }

  Result<uint64_t> Size() override {
    struct stat info {};
    if (::fstat(fd_, &info) != 0) {
      return ErrnoStatus("cannot examine", path_, errno);
    }
    return static_cast<uint64_t>(info.st_size);
  }

  void DropCache() override { ::posix_fadvise(fd_, 0, 0, POSIX_FADV_DONTNEED); }  // a hint: its failure costs nothing

  const std::string& path() const override { return path_; }
  int fd() const { return fd_; }

  Result<Slice> Map(uint64_t offset, size_t size) override {
    if (size == 0) {
      return Slice();
    }
    LB_TRY(CheckLongEnough(offset, size));
    void* const at = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd_, static_cast<off_t>(offset));
    if (at == MAP_FAILED) {
      return ErrnoStatus("cannot map", path_, errno);
    }
    std::shared_ptr<const void> owner(at, [size](const void* mapped) { ::munmap(const_cast<void*>(mapped), size); });
    return Slice(static_cast<const uint8_t*>(at), size, std::move(owner));
  }

  Status MapOver(void* address, uint64_t offset, size_t size) override {
    if (size == 0) {
      return {};
    }
    LB_TRY(CheckLongEnough(offset, size));
    void* const at = ::mmap(address, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd_,
                            static_cast<off_t>(offset));
    return at == MAP_FAILED ? ErrnoStatus("cannot map", path_, errno) : Status();
  }

 private:
  // Pages behind the end of a file must not be touched.
  Status CheckLongEnough(uint64_t offset, size_t size) {
    LB_ASSIGN(const uint64_t size_bytes, Size());
    return offset <= size_bytes && size <= size_bytes - offset ? Status() : TooShort(path_, offset, size, size_bytes);
  }

  const int fd_;
  const std::string path_;
};

int OpenFlags(OpenMode mode) {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_EXCL;
    case OpenMode::kCreateOrTruncate:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

Result<std::unique_ptr<RealFile>> OpenReal(const std::string& path, int flags) {
  const int fd = Uninterrupted([&] { return ::open(path.c_str(), flags | O_CLOEXEC, 0644); });
  if (fd < 0) {
    return ErrnoStatus((flags & O_CREAT) != 0 ? "cannot create" : "cannot open", path, errno);
  }
  return std::make_unique<RealFile>(fd, path);
}

class OperatingSystemFiles final : public FileSystem {
 public:
  Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) override {
    LB_ASSIGN(std::unique_ptr<RealFile> file, OpenReal(path, OpenFlags(mode)));
    return std::unique_ptr<File>(std::move(file));
  }

  Status CreateDirectories(const std::string& path) override {
    std::error_code error;
    std::filesystem::create_directories(path, error);
    return error ? ErrnoStatus("cannot create directory", path, error.value()) : Status();
  }

  Result<std::vector<std::string>> List(const std::string& directory) override {
    std::error_code error;
    std::vector<std::string> names;
    auto entry = std::filesystem::directory_iterator(directory, error);
    while (!error && entry != std::filesystem::directory_iterator()) {
      names.push_back(entry->path().filename().string());
      entry.increment(error);
    }
    if (error) {
      return ErrnoStatus("cannot list directory", directory, error.value());
    }
    std::sort(names.begin(), names.end());
    return names;
  }

  Result<bool> Exists(const std::string& path) override {
    struct stat info {};
    if (::lstat(path.c_str(), &info) == 0) {
      return true;
    }
    if (errno == ENOENT) {
      return false;
    }
    return ErrnoStatus("cannot examine", path, errno);
  }

  Status Rename(const std::string& from, const std::string& to) override {
    if (::rename(from.c_str(), to.c_str()) != 0) {
      return ErrnoStatus("cannot rename", from + "' to '" + to, errno);
    }
    return {};
  }

  Status Remove(const std::string& path) override {
    if (::unlink(path.c_str()) != 0) {
      return ErrnoStatus("cannot remove", path, errno);
    }
    return {};
  }

  Status RemoveTree(const std::string& path) override {
    std::error_code error;
    std::filesystem::remove_all(path, error);
    return error ? ErrnoStatus("cannot remove directory", path, error.value()) : Status();
  }

  Status SyncDirectory(const std::string& path) override {
    LB_ASSIGN(std::unique_ptr<RealFile> directory, OpenReal(path, O_RDONLY | O_DIRECTORY));
    if (::fsync(directory->fd()) != 0) {
      return ErrnoStatus("cannot sync directory", path, errno);
    }
    return {};
  }

  Status SyncAll(const std::string& path) override {
    LB_ASSIGN(std::unique_ptr<RealFile> directory, OpenReal(path, O_RDONLY | O_DIRECTORY));
    if (::syncfs(directory->fd()) != 0) {
      return ErrnoStatus("cannot sync the file system of", path, errno);
    }
    return {};
  }

  Status MapScratch(const std::string& directory, void* address, size_t size) override {
    const int fd = Uninterrupted([&] { return ::open(directory.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600); });
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
      return FileSystem::MapScratch(directory, address, size);
    }
    if (fd < 0) {
      return ErrnoStatus("cannot create a scratch file in", directory, errno);
    }
    const RealFile file(fd, directory);
    if (const int error = ::posix_fallocate(fd, 0, static_cast<off_t>(size)); error != 0) {
      return ErrnoStatus("cannot get blocks for a scratch file in", directory, error);
    }
    if (::mmap(address, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED) {
      return ErrnoStatus("cannot map a scratch file in", directory, errno);
    }
    return {};
  }

  Result<std::unique_ptr<File>> Lock(const std::string& path, const std::string& note) override {
    LB_ASSIGN(std::unique_ptr<RealFile> file, OpenReal(path, O_RDWR | O_CREAT));
    // flock, not fcntl: it belongs to this open file, so a second opening in the same process is refused too, and
    // closing some other descriptor of the file does not give it up.
    if (Uninterrupted([&] { return ::flock(file->fd(), LOCK_EX | LOCK_NB); }) != 0) {
      if (errno != EWOULDBLOCK) {
        return ErrnoStatus("cannot lock", path, errno);
      }
      LB_ASSIGN(std::string holder, ReadWholeFile(*this, path));
      return AlreadyExists("'" + path + "' is locked by " + (holder.empty() ? "another process" : holder));
    }
    LB_TRY(file->Truncate(0));
    LB_TRY(file->WriteAt(0, {Slice::Own(note)}));
    return std::unique_ptr<File>(std::move(file));
  }
};

std::string ParentOf(const std::string& path) {
  const std::string parent = std::filesystem::path(path).parent_path().string();
  return parent.empty() ? "." : parent;
}

Status WriteNewFile(FileSystem& fs, const std::string& path, std::string_view content) {
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kCreateOrTruncate));
  LB_TRY(file->WriteAt(0, {Slice(reinterpret_cast<const uint8_t*>(content.data()), content.size(), nullptr)}));
  LB_KILL_POINT("whole_file.written");
  return file->Sync();
}

}  // namespace

Status FileSystem::MapScratch(const std::string& directory, void* /*address*/, size_t size) {
  return Unimplemented("no scratch file of " + std::to_string(size) + " bytes in '" + directory +
                       "': its file system has no files without a name");
}

Result<Slice> File::Map(uint64_t offset, size_t size) {
  std::string bytes(size, '\0');
  LB_TRY(MapOver(bytes.data(), offset, size));
  return Slice::Own(std::move(bytes));
}

Status File::MapOver(void* address, uint64_t offset, size_t size) {
  LB_ASSIGN(const size_t got, ReadAt(offset, {static_cast<uint8_t*>(address), size}));
  return got == size ? Status() : TooShort(path(), offset, size, offset + got);
}

FileSystem& RealFileSystem() {
  static OperatingSystemFiles files;
  return files;
}

Result<std::string> ReadWholeFile(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, file->Size());
  std::string content(size, '\0');
  LB_ASSIGN(const size_t got, file->ReadAt(0, {reinterpret_cast<uint8_t*>(content.data()), content.size()}));
  content.resize(got);
  return content;
}

Status WriteWholeFile(FileSystem& fs, const std::string& path, std::string_view content) {
  const std::string temporary = path + ".tmp";
  LB_KILL_POINT("whole_file.begin");
  LB_TRY(WriteNewFile(fs, temporary, content));
  LB_KILL_POINT("whole_file.synced");
  LB_TRY(fs.Rename(temporary, path));
  LB_KILL_POINT("whole_file.renamed");
  LB_TRY(fs.SyncDirectory(ParentOf(path)));
  LB_KILL_POINT("whole_file.named");
  return {};
}

}  // namespace longbow
