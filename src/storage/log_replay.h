// Reading a log back: what is in a folder of log files, and whether its end is torn or damaged. Changes nothing.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/status.h"
#include "storage/log.h"

namespace longbow::storage {

struct LogFileEntry {
  std::string path;
  Lsn first_lsn;
  uint64_t used_bytes = 0;  // header and records; zeros may follow
};

struct LogContents {
  std::vector<LogFileEntry> files;         // by LSN; records are appended to the last. Empty: no log yet
  std::vector<std::string> strange_files;  // names ending in .log that are not ours
  std::optional<std::string> unborn_file;  // path of a file whose creation never finished: to be removed
  Lsn last_lsn;                            // of the last whole record; `after` if there is no file
  uint64_t salt = 0;                       // of the last file
  uint64_t id = 0;                         // of the log
  bool torn = false;                       // the last file has bytes after used_bytes that have to go
  // In the last file: everything before belongs to acknowledged records; 0 if there is none, so that the header is not
  // relied on either.
  uint64_t unsure_offset = 0;
};

struct LogReplayOptions {
  std::string directory;
  Lsn after;  // of records up to here only the headers are read, of files wholly below nothing
  // Every record up to here was acknowledged: if one is not there or not whole, that is damage and no torn tail.
  Lsn acknowledged;
  uint64_t id = 0;  // see LogOptions
};

// Calls `replay` for every whole record above `after`, in order. DATA_LOSS, FAILED_PRECONDITION (newer format), the
// file system's errors, or what `replay` returns.
Result<LogContents> ReplayLog(FileSystem& fs, const LogReplayOptions& options,
                              const std::function<Status(const LogRecord&)>& replay);

// `<directory>/COMMITTED`.
std::string CommitMarkPath(const std::string& directory);
// The last LSN that was acknowledged before the program ended, as far as the log folder tells; 0 in a folder without a
// log. DATA_LOSS if the mark is damaged, or missing beside log files.
Result<Lsn> ReadCommitMark(FileSystem& fs, const std::string& directory);

}  // namespace longbow::storage
