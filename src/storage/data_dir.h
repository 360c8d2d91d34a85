// A data folder: taken by one process at a time, and of a format we know.
//
// `<data>/FORMAT`: one line, "longbow-data 1". Written when the folder is made, never changed.
// `<data>/LOCK`:   held with an advisory lock while a process uses the folder; its text says who.
#pragma once

#include <memory>
#include <string>

#include "base/file.h"
#include "base/status.h"

namespace longbow::storage {

// Holds the lock as long as it lives.
class DataDir {
 public:
  // Makes the folder if it is missing or empty. `owner`: who we are, e.g. "longbow serve, node a"; the note in the lock
  // file adds pid and start time.
  // FAILED_PRECONDITION: another process has it (its note is in the message), it is not empty and not ours, or of a newer
  // format. DATA_LOSS: its FORMAT file is damaged. Nothing in the folder is changed by a refusal.
  static Result<std::unique_ptr<DataDir>> Open(FileSystem& fs, const std::string& path, const std::string& owner);

 private:
  explicit DataDir(std::unique_ptr<File> lock) : lock_(std::move(lock)) {}

  std::unique_ptr<File> lock_;
};

}  // namespace longbow::storage
