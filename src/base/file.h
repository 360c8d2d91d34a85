// The only way to the disk. Everything above base/ takes a FileSystem&, so that tests can fail, tear, drop and replay.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/slice.h"
#include "base/status.h"

namespace longbow {

// An open file. Reads and writes at distinct offsets may run in parallel; the rest is for one thread at a time.
class File {
 public:
  virtual ~File() = default;

  // Fills `out` from `offset`. Returns how many bytes there were: fewer than asked only at the end of the file.
  virtual Result<size_t> ReadAt(uint64_t offset, std::span<uint8_t> out) = 0;
  // Writes all pieces one after another from `offset`. Not durable before Sync(). On error any part may be written.
  virtual Status WriteAt(uint64_t offset, const Slices& pieces) = 0;
  // A hint: these bytes will be synced soon, so the disk may begin. Errors come out of Sync().
  virtual void StartWriting(uint64_t offset, uint64_t size) {
    (void)offset;
    (void)size;
  }
  // fdatasync: on OK all bytes written before are on stable storage. After an error nothing is known; never retry it.
  virtual Status Sync() = 0;
  // Reserves blocks for [offset, offset + size) and sets the file size to at least their end; the new bytes are zero.
  virtual Status Allocate(uint64_t offset, uint64_t size) = 0;
  virtual Status Truncate(uint64_t size) = 0;
  virtual Result<uint64_t> Size() = 0;
  // Lets the system forget what it holds of the file in memory and has on disk, so that the next read asks the disk.
  virtual void DropCache() {}
  virtual const std::string& path() const = 0;

  // The bytes [offset, offset + size), offset a multiple of kMapAlignment: of the page cache where the system can map
  // them, else a copy. They stay when the file is closed and its name removed. DATA_LOSS if the file is shorter;
  // whoever shortens it later gets this process a SIGBUS.
  virtual Result<Slice> Map(uint64_t offset, size_t size);
  // Puts those bytes at `address`, a multiple of kMapAlignment in memory of the caller's, in place of the whole pages
  // that were there; for other threads it happens at once. What is then written there changes no file.
  virtual Status MapOver(void* address, uint64_t offset, size_t size);
};

inline constexpr size_t kMapAlignment = 4096;

enum class OpenMode {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read and write; must not exist
  kCreateOrTruncate,
};

// Thread safe. Paths are used as given. Messages name the path and errno's text; a full disk is RESOURCE_EXHAUSTED.
class FileSystem {
 public:
  virtual ~FileSystem() = default;

  virtual Result<std::unique_ptr<File>> Open(const std::string& path, OpenMode mode) = 0;
  virtual Status CreateDirectories(const std::string& path) = 0;
  // Names (not paths) of the entries of a directory, sorted.
  virtual Result<std::vector<std::string>> List(const std::string& directory) = 0;
  virtual Result<bool> Exists(const std::string& path) = 0;
  // Atomic replacement within one file system. Durable after SyncDirectory of the parent.
  virtual Status Rename(const std::string& from, const std::string& to) = 0;
  virtual Status Remove(const std::string& path) = 0;
  virtual Status RemoveTree(const std::string& path) = 0;
  virtual Status SyncDirectory(const std::string& path) = 0;
  // syncfs: on OK all bytes and names that were written before, anywhere in the file system that holds `path`, are on
  // stable storage; waits for what other programs wrote there, too. Linux tells errors of writing back since 5.8 only.
  virtual Status SyncAll(const std::string& path) = 0;
  // Takes an exclusive advisory lock that ends with the process or the returned object, and writes `note` (who we are)
  // into the file. ALREADY_EXISTS with the holder's note if another process has it.
  virtual Result<std::unique_ptr<File>> Lock(const std::string& path, const std::string& note) = 0;
  // Puts `size` zeros at `address`, a multiple of kMapAlignment in memory of the caller's, in place of the whole pages
  // that were there: those of a file without a name, on the disk of that directory. Memory that the kernel can write
  // out and take when others need the room; it ends with its mapping, or the process. All blocks are taken at once, so
  // that a full disk is RESOURCE_EXHAUSTED here and not a SIGBUS later. UNIMPLEMENTED where there are no such files.
  virtual Status MapScratch(const std::string& directory, void* address, size_t size);
};

// The operating system's file system. Lives as long as the process.
FileSystem& RealFileSystem();

// Whole small files. WriteWholeFile: temporary file, Sync, Rename, SyncDirectory: after OK the new content is durable,
// after an error the old content is there.
Result<std::string> ReadWholeFile(FileSystem& fs, const std::string& path);
Status WriteWholeFile(FileSystem& fs, const std::string& path, std::string_view content);

}  // namespace longbow
