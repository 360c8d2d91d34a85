// Checks a data folder that no node uses, file by file, and repairs what can be repaired: `longbow fsck`.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/status.h"
#include "engine/checkpoint.h"
#include "engine/segment.h"

namespace longbow::engine {

enum class FileState {
  kSound,
  kRepairable,  // nothing is lost: a node, or a repair, makes it good
  kLossy,       // a repair has to give something up that was acknowledged
  kLost,        // only a snapshot brings it back
};

struct FileReport {
  std::string file;  // below the data folder
  FileState state = FileState::kSound;
  std::string found;   // what is wrong and where, or what it holds
  std::string remedy;  // what can be done, or was
  bool repaired = false;
};

struct FolderReport {
  std::vector<FileReport> files;
  uint64_t collections = 0;
  uint64_t rows = 0;  // live ones, after the log
  Lsn checkpoint;
  Lsn last_lsn;
};

struct FolderCheckOptions {
  bool repair = false;       // what loses nothing
  bool accept_loss = false;  // and what does: believe the log's files, not the mark of what was acknowledged
  SegmentOptions segment;
};

// Takes the folder's lock, reads every byte of every file that the manifest names, and replays the log into memory.
// Changes nothing without `repair`. FAILED_PRECONDITION if a process uses the folder, or it is none of ours or a newer
// format's; NOT_FOUND if there is none. What is damaged is in the report.
Result<FolderReport> CheckFolder(FileSystem& fs, const std::string& path, const FolderCheckOptions& options);

}  // namespace longbow::engine
