// A place that keeps snapshots: a folder, or a prefix of an S3 bucket.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/file.h"
#include "base/status.h"

namespace longbow::storage {

// Names are "<folder>/<name>", never taken from a client. Thread safe; a writer or a reader is for one thread.
class SnapshotTarget {
 public:
  // A new object, written from its beginning. It is there under its name, whole, once Finish returned OK, and never
  // before; destroyed without Finish it never was.
  class Writer {
   public:
    virtual ~Writer() = default;
    virtual Status Append(std::span<const uint8_t> bytes) = 0;
    virtual Status Finish() = 0;
  };
  // Reads an object from its beginning.
  class Reader {
   public:
    virtual ~Reader() = default;
    // Fills `out`; fewer bytes only at the end.
    virtual Result<size_t> Read(std::span<uint8_t> out) = 0;
  };
  struct Object {
    std::string name;  // without the folder
    uint64_t size_bytes = 0;
  };

  virtual ~SnapshotTarget() = default;

  // For messages: "/backups" or "s3://bucket/prefix"; no secrets.
  virtual const std::string& where() const = 0;
  // How many objects it pays to copy at a time.
  virtual size_t streams() const = 0;
  // What is in a folder, by name; nothing if there is none.
  virtual Result<std::vector<Object>> List(const std::string& folder) = 0;
  // Replaces what had that name.
  virtual Result<std::unique_ptr<Writer>> Create(const std::string& name) = 0;
  // NOT_FOUND if there is none.
  virtual Result<std::unique_ptr<Reader>> Open(const std::string& name) = 0;
  // OK if there is none.
  virtual Status Remove(const std::string& name) = 0;
  // What was finished stays and what was removed stays away, whatever happens to the power.
  virtual Status Sync() = 0;
};

enum class TargetAccess { kRead, kWrite };

// A folder. kWrite makes it, takes its lock (FAILED_PRECONDITION if another process writes snapshots there) and clears
// what an interrupted snapshot left; NOT_FOUND for kRead if it is not there.
Result<std::unique_ptr<SnapshotTarget>> OpenFolderTarget(FileSystem& fs, const std::string& folder,
                                                         TargetAccess access);

// Whole small objects.
Result<std::string> ReadObject(SnapshotTarget& target, const std::string& name);
Status WriteObject(SnapshotTarget& target, const std::string& name, std::string_view content);

}  // namespace longbow::storage
