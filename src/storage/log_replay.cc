#include "storage/log_replay.h"

#include <algorithm>

#include "base/kill_point.h"
#include "storage/log_file_reader.h"
#include "storage/log_format.h"

namespace longbow::storage {
namespace {

constexpr const char* kAdvice =
    "nothing was changed; restore the data folder from a snapshot, or ask for a repair by name if you accept the loss";

std::string At(const std::string& path, uint64_t offset) {
  return "log file '" + path + "' is damaged at offset " + std::to_string(offset) + ": ";
}

// Walks through the files of one log. For one thread, for one use.
class Replayer {
 public:
  Replayer(FileSystem& fs, const LogReplayOptions& options, const std::function<Status(const LogRecord&)>& replay)
      : fs_(fs), options_(options), replay_(replay), id_is_known_(options.id != 0) {}

  Result<LogContents> Run() {
    LB_TRY(ListFiles());
    LB_TRY(SetUnbornFileAside());
    contents_.last_lsn = options_.after;
    contents_.id = options_.id;
    if (!contents_.files.empty()) {
      LB_ASSIGN(const size_t first, FirstFileToRead());
      contents_.last_lsn = {contents_.files[first].first_lsn.value - 1};
      for (size_t i = first; i < contents_.files.size(); ++i) {
        LB_TRY(ReadFile(contents_.files[i], i + 1 == contents_.files.size()));
      }
    }
    LB_TRY(CheckNothingAcknowledgedIsMissing());
    return std::move(contents_);
  }

 private:
  Status ListFiles() {
    LB_ASSIGN(const std::vector<std::string> names, fs_.List(options_.directory));
    for (const std::string& name : names) {
      const std::string path = options_.directory + "/" + name;
      if (const std::optional<Lsn> first_lsn = ParseLogFileName(name)) {
        LB_ASSIGN(const std::unique_ptr<File> file, fs_.Open(path, OpenMode::kRead));
        LB_ASSIGN(const uint64_t size, file->Size());
        contents_.files.push_back({.path = path, .first_lsn = *first_lsn, .used_bytes = size});
      } else if (name.ends_with(".log")) {
        contents_.strange_files.push_back(name);
      }
    }
    return {};
  }

  // A new file gets its header, durably, before its first record. A last file without header and without anything else
  // is what a power cut left of that step, unless a record of it was acknowledged.
  Status SetUnbornFileAside() {
    if (contents_.files.empty() || contents_.files.back().first_lsn <= options_.acknowledged) {
      return {};
    }
    const std::string path = contents_.files.back().path;
    LB_ASSIGN(const std::unique_ptr<File> file, fs_.Open(path, OpenMode::kRead));
    LB_ASSIGN(LogFileReader reader, LogFileReader::Open(*file));
    LB_ASSIGN(const std::optional<LogFileHeader> header, reader.ReadHeader());
    LB_ASSIGN(const bool blank, reader.OnlyZerosFrom(kLogFileHeaderBytes));
    if (!header && blank) {
      contents_.unborn_file = path;
      contents_.files.pop_back();
    }
    return {};
  }

  Result<size_t> FirstFileToRead() const {
    const std::vector<LogFileEntry>& files = contents_.files;
    const auto above = std::find_if(files.begin(), files.end(), [&](const LogFileEntry& file) {
      return file.first_lsn.value > options_.after.value + 1;
    });
    if (above == files.begin()) {
      return DataLoss("log '" + options_.directory + "' has a gap: the checkpoint covers records up to " +
                      std::to_string(options_.after.value) + ", the first log file begins at " +
                      std::to_string(files.front().first_lsn.value) + ": a file is missing; " + kAdvice);
    }
    return static_cast<size_t>(above - files.begin()) - 1;
  }

  Status ReadFile(LogFileEntry& entry, bool last) {
    if (entry.first_lsn != contents_.last_lsn.Next()) {
      return DataLoss("log '" + options_.directory + "' has a gap: record " + std::to_string(contents_.last_lsn.value) +
                      " is followed by file '" + entry.path + "': records are missing between them; " + kAdvice);
    }
    LB_ASSIGN(const std::unique_ptr<File> file, fs_.Open(entry.path, OpenMode::kRead));
    LB_ASSIGN(LogFileReader reader, LogFileReader::Open(*file));
    LB_ASSIGN(const std::optional<LogFileHeader> header, reader.ReadHeader());
    LB_TRY(CheckHeader(entry, header));
    LB_TRY(CheckId(entry, *header));
    contents_.salt = header->salt;
    contents_.unsure_offset = 0;
    for (uint64_t offset = kLogFileHeaderBytes;;) {
      LB_ASSIGN(const LogItem item, reader.ReadItem(offset, header->salt, options_.after));
      if (item.kind != LogItem::Kind::kRecord) {
        entry.used_bytes = offset;
        return item.kind == LogItem::Kind::kEnd ? Status() : JudgeBadItem(reader, entry, offset, item, last);
      }
      LB_TRY(TakeRecord(entry, offset, item));
      offset = item.end;
    }
  }

  Status CheckHeader(const LogFileEntry& entry, const std::optional<LogFileHeader>& header) const {
    if (!header) {
      return DataLoss(At(entry.path, 0) + "wrong file header; " + kAdvice);
    }
    if (header->version > kLogVersion) {
      return FailedPrecondition("log file '" + entry.path + "' has format " + std::to_string(header->version) +
                                " at offset 0, this program knows formats up to " + std::to_string(kLogVersion) +
                                ": start the newer version that wrote it");
    }
    if (header->first_lsn != entry.first_lsn) {
      return DataLoss(At(entry.path, 0) + "the file begins with record " + std::to_string(header->first_lsn.value) +
                      " and was given another name; " + kAdvice);
    }
    return {};
  }

  // Records of another folder fit in where numbers and checksums are right.
  Status CheckId(const LogFileEntry& entry, const LogFileHeader& header) {
    if (!id_is_known_) {
      contents_.id = header.log_id;
      id_is_known_ = true;
    }
    return header.log_id == contents_.id
               ? Status()
               : DataLoss("log file '" + entry.path + "' belongs to another data folder: at offset 32 it is of log " +
                          std::to_string(header.log_id) + ", expected " + std::to_string(contents_.id) +
                          "; nothing was changed; put this folder's own file and MANIFEST back, or restore the data " +
                          "folder from a snapshot");
  }

  Status TakeRecord(const LogFileEntry& entry, uint64_t offset, const LogItem& item) {
    if (item.record.lsn != contents_.last_lsn.Next()) {
      return DataLoss(At(entry.path, offset) + "expected record " + std::to_string(contents_.last_lsn.value + 1) +
                      ", got " + std::to_string(item.record.lsn.value) + "; " + kAdvice);
    }
    contents_.last_lsn = item.record.lsn;
    if (item.record.lsn <= options_.acknowledged) {
      contents_.unsure_offset = item.end;
    }
    LB_KILL_POINT("log.open.replay");
    return item.record.lsn > options_.after ? replay_(item.record) : Status();
  }

  // Torn or damaged? Torn only if nothing says that this record was ever durable.
  Status JudgeBadItem(LogFileReader& reader, const LogFileEntry& entry, uint64_t offset, const LogItem& item,
                      bool last) {
    const Lsn lsn = contents_.last_lsn.Next();
    const std::string what =
        At(entry.path, offset) + item.defect + ", where record " + std::to_string(lsn.value) + " belongs; ";
    if (!last) {
      return DataLoss(what + "newer log files follow; " + kAdvice);
    }
    if (lsn <= options_.acknowledged) {
      return DataLoss(what + "records up to " + std::to_string(options_.acknowledged.value) + " were acknowledged; " +
                      kAdvice);
    }
    LB_ASSIGN(const std::optional<uint64_t> later,
              reader.FindWrittenAfter(lsn, offset + kRecordAlignment, contents_.salt));
    if (later) {
      return DataLoss(what + "a later record, at offset " + std::to_string(*later) + ", shows that it was durable; " +
                      kAdvice);
    }
    contents_.torn = true;
    return {};
  }

  Status CheckNothingAcknowledgedIsMissing() const {
    if (contents_.last_lsn >= options_.acknowledged) {
      return {};
    }
    const bool none = contents_.files.empty();
    return DataLoss("log '" + options_.directory + "' ends too early: " +
                    (none ? std::string("there is no log file")
                          : "file '" + contents_.files.back().path + "' ends at offset " +
                                std::to_string(contents_.files.back().used_bytes) + " with record " +
                                std::to_string(contents_.last_lsn.value)) +
                    ", but records up to " + std::to_string(options_.acknowledged.value) + " were acknowledged; " +
                    kAdvice);
  }

  FileSystem& fs_;
  const LogReplayOptions& options_;
  const std::function<Status(const LogRecord&)>& replay_;
  LogContents contents_;
  bool id_is_known_;
};

}  // namespace

std::string CommitMarkPath(const std::string& directory) { return directory + "/COMMITTED"; }

Result<Lsn> ReadCommitMark(FileSystem& fs, const std::string& directory) {
  const std::string path = CommitMarkPath(directory);
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (exists) {
    LB_ASSIGN(const std::string bytes, ReadWholeFile(fs, path));
    if (const std::optional<Lsn> lsn = DecodeCommitMarks(bytes)) {
      return *lsn;
    }
    return DataLoss("commit mark '" + path +
                    "' is damaged at offset 0: without it a damaged end of the log looks like a torn "
                    "one; nothing was changed; restore the data folder from a snapshot, or ask for a repair by name");
  }
  LB_ASSIGN(const std::vector<std::string> names, fs.List(directory));
  if (std::any_of(names.begin(), names.end(),
                  [](const std::string& name) { return ParseLogFileName(name).has_value(); })) {
    return DataLoss(
        "commit mark '" + path +
        "' is missing beside log files: without it a damaged end of the log looks like a "
        "torn one; nothing was changed; restore the data folder from a snapshot, or ask for a repair by name");
  }
  return Lsn{0};
}

Result<LogContents> ReplayLog(FileSystem& fs, const LogReplayOptions& options,
                              const std::function<Status(const LogRecord&)>& replay) {
  return Replayer(fs, options, replay).Run();
}

}  // namespace longbow::storage
