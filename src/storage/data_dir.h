// A data folder: taken by one process at a time, and of a format we know.
//
//   <data>/FORMAT   one line, "longbow-data 1"; written when the folder is made, never changed
//   <data>/LOCK     held with an advisory lock while a process uses the folder; its text says who
//   <data>/RESTORING  which snapshot is being restored; FORMAT is missing until that is done, so nobody opens the
//   folder
// What else is in the folder is its users' affair; see manifest.h and log.h.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/file.h"
#include "base/status.h"

namespace longbow::storage {

// Holds the lock as long as it lives.
class DataDir {
 public:
  // Makes the folder, durably, if it is missing or empty (a file system's lost+found aside). `owner`: who we are, such
  // as "longbow serve"; the note in the lock file adds pid and start time. FAILED_PRECONDITION: `data folder '/x' is in
  // use by pid 123 (longbow serve, since ...)`, a folder that is not empty and not ours, or a newer format. DATA_LOSS:
  // its FORMAT file is damaged. Nothing in the folder is changed by a refusal.
  static Result<std::unique_ptr<DataDir>> Open(FileSystem& fs, const std::string& path, const std::string& owner,
                                               Clock& clock = RealClock());

  // Takes a folder that is missing or empty, or in which restoring the same snapshot was interrupted, and marks it: no
  // Open succeeds before FinishRestore. FAILED_PRECONDITION for every other folder, which stays as it is.
  static Result<std::unique_ptr<DataDir>> BeginRestore(FileSystem& fs, const std::string& path,
                                                       const std::string& snapshot, Clock& clock = RealClock());
  // Makes it a data folder like all others. Everything in it must be durable.
  static Status FinishRestore(FileSystem& fs, const std::string& path);

 private:
  explicit DataDir(std::unique_ptr<File> lock) : lock_(std::move(lock)) {}

  const std::unique_ptr<File> lock_;
};

// Makes a folder and those above it, durably; OK if it is there.
Status MakeFolderDurably(FileSystem& fs, const std::string& path);

}  // namespace longbow::storage
