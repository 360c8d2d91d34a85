#include "engine/folder_check.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/limits.h"
#include "engine/graph_file.h"
#include "engine/segment_files.h"
#include "engine/state.h"
#include "storage/data_dir.h"
#include "storage/log.h"
#include "storage/log_replay.h"
#include "storage/mapped_file.h"
#include "storage/segment_file.h"

namespace longbow::engine {
namespace {

using storage::MappedFile;
using storage::NamedFile;

constexpr char kSnapshot[] = "restore the data folder from a snapshot";
constexpr char kRebuilt[] = "derived from other files: remove it, the next start builds it again";
constexpr char kRewritten[] =
    "its rows are whole in the mapped files: start the node, its next checkpoint writes it again";

bool KeepOn() { return true; }

// One check of one folder.
class Check {
 public:
  Check(FileSystem& fs, std::string path, const FolderCheckOptions& options)
      : folder_{fs, std::move(path)}, options_(options), state_(NewState()) {}

  Result<FolderReport> Run() {
    LB_TRY(CheckManifestAndFiles());
    LB_TRY(CheckLog());
    LB_TRY(ListUnnamedFiles());
    for (const auto& [shard, collection] : state_->collections()) {
      report_.rows += collection->shard.Pin()->live_rows;
    }
    report_.collections = state_->collections().size();
    report_.checkpoint = manifest_.checkpoint;
    return std::move(report_);
  }

 private:
  std::unique_ptr<State> NewState() const { return std::make_unique<State>(options_.segment); }

  FileReport& Add(const std::string& file, FileState state, std::string found, std::string remedy = {}) {
    report_.files.push_back({.file = file, .state = state, .found = std::move(found), .remedy = std::move(remedy)});
    return report_.files.back();
  }

  Status CheckManifestAndFiles() {
    const Result<std::optional<storage::Manifest>> manifest = storage::ReadManifest(folder_.fs, folder_.path);
    if (!manifest.ok()) {
      Add("MANIFEST", FileState::kLost, std::string(manifest.status().message()), kSnapshot);
      readable_ = false;
      return {};
    }
    if (!*manifest) {
      return {};  // no checkpoint yet: the log has everything, or says that it has not
    }
    manifest_ = **manifest;
    Add("MANIFEST", FileState::kSound,
        "checkpoint at record " + std::to_string(manifest_.checkpoint.value) + ", " +
            std::to_string(manifest_.collections.size()) + " collections");
    // The same code as a start: what it takes, a start takes.
    Checkpoints checkpoints(folder_.fs, folder_.path);
    std::vector<std::string> warnings;  // each is seen again, by file, below
    const Status loaded = checkpoints.Load(state_.get(), &warnings);
    readable_ = loaded.ok();
    for (const storage::CollectionEntry& entry : manifest_.collections) {
      CheckCollection(entry);
    }
    const bool explained = std::any_of(report_.files.begin(), report_.files.end(),
                                       [](const FileReport& file) { return file.state == FileState::kLost; });
    if (!loaded.ok() && !explained) {
      Add("segments", FileState::kLost, std::string(loaded.message()), kSnapshot);
    }
    return {};
  }

  void CheckCollection(const storage::CollectionEntry& entry) {
    std::shared_ptr<const View> view;
    if (const auto found = state_->collections().find(entry.shard); readable_ && found != state_->collections().end()) {
      view = found->second->shard.Pin();
    }
    for (size_t i = 0; i < entry.segments.size(); ++i) {
      const storage::SegmentEntry& segment = entry.segments[i];
      const Segment* loaded = view != nullptr && i < view->segments.size() ? view->segments[i].segment.get() : nullptr;
      for (const storage::PartEntry& part : segment.parts) {
        CheckPart(part, loaded);
      }
      CheckGraph(segment, loaded);
      if (segment.ordinals.any()) {
        Take(segment.ordinals, ReadOrdinals(folder_, segment).status(), FileState::kLost, kSnapshot);
      }
    }
    if (entry.deleted.any()) {
      Take(entry.deleted,
           storage::ReadDeletedRows(folder_.fs, folder_.PathOf(entry.deleted.file), entry.deleted.digest).status(),
           FileState::kLost, kSnapshot);
    }
  }

  // Rows stand twice: as Parquet, and in the mapped files. One of the two is enough.
  void CheckPart(const storage::PartEntry& part, const Segment* segment) {
    const Status parquet =
        storage::VerifySegmentFile(folder_.fs, folder_.PathOf(part.parquet.file), part.parquet.digest, KeepOn);
    const Status vectors = part.vectors.any() ? CheckVectors(part, segment) : Status();
    const Status columns =
        part.columns.any() ? CheckMapped(part.columns, storage::MappedKind::kColumns, part.rows) : Status();
    const bool mapped_is_whole = vectors.ok() && columns.ok() && part.columns.any();
    Take(part.parquet, parquet, mapped_is_whole ? FileState::kRepairable : FileState::kLost,
         mapped_is_whole ? kRewritten : kSnapshot);
    for (const auto& [file, status] : {std::pair(&part.vectors, &vectors), std::pair(&part.columns, &columns)}) {
      if (file->any()) {
        FileReport& report = Take(*file, *status, parquet.ok() ? FileState::kRepairable : FileState::kLost,
                                  parquet.ok() ? kRebuilt : kSnapshot);
        RemoveDerived(&report);
      }
    }
  }

  Status CheckVectors(const storage::PartEntry& part, const Segment* segment) {
    if (segment == nullptr || !segment->searchable()) {
      return folder_.fs.Open(folder_.PathOf(part.vectors.file), OpenMode::kRead).status();
    }
    LB_ASSIGN(const MappedFile file,
              MappedFile::Open(folder_.fs, folder_.PathOf(part.vectors.file), part.vectors.digest,
                               VectorsContent(segment->vectors(), part.rows)));
    return VerifyMapped(file);
  }

  Status CheckMapped(const NamedFile& named, storage::MappedKind kind, uint64_t rows) {
    LB_ASSIGN(const MappedFile file,
              MappedFile::Open(folder_.fs, folder_.PathOf(named.file), named.digest, {.kind = kind, .rows = rows}));
    return VerifyMapped(file);
  }

  Status VerifyMapped(const MappedFile& file) {
    LB_ASSIGN(const std::vector<MappedFile::Damage> damages, file.Verify(KeepOn));
    if (damages.empty()) {
      return {};
    }
    return DataLoss("'" + file.path() + "' is damaged: " + std::to_string(damages.size()) +
                    " groups of a megabyte, the first in section " +
                    std::to_string(static_cast<uint32_t>(damages.front().section)) + " at offset " +
                    std::to_string(damages.front().offset));
  }

  void CheckGraph(const storage::SegmentEntry& entry, const Segment* segment) {
    if (entry.graph.any() && segment != nullptr && segment->searchable()) {
      RemoveDerived(&Take(entry.graph, OpenGraph(folder_, entry.graph, segment->shared_vectors()).status(),
                          FileState::kRepairable, kRebuilt));
    }
  }

  FileReport& Take(const NamedFile& named, const Status& status, FileState if_damaged, const char* remedy) {
    named_.insert(named.file);
    if (status.ok()) {
      return Add(named.file, FileState::kSound, std::to_string(named.digest.size_bytes) + " bytes");
    }
    return Add(named.file, if_damaged, std::string(status.message()), remedy);
  }

  void RemoveDerived(FileReport* report) {
    if (!options_.repair || report->state != FileState::kRepairable) {
      return;
    }
    const Result<bool> exists = folder_.fs.Exists(folder_.PathOf(report->file));
    const Status removed = exists.ok() && *exists ? folder_.fs.Remove(folder_.PathOf(report->file)) : exists.status();
    report->repaired = removed.ok();
    report->remedy = removed.ok() ? "removed; the next start builds it again" : std::string(removed.message());
  }

  Status CheckLog() {
    if (!readable_) {
      return {};  // records cannot be judged without the state before them
    }
    const std::string directory = folder_.path + "/log";
    LB_ASSIGN(const bool exists, folder_.fs.Exists(directory));
    if (!exists) {
      Add("log", manifest_.checkpoint.value == 0 ? FileState::kSound : FileState::kRepairable, "there is no log folder",
          "records after the checkpoint, if there were any, are gone; the next start begins a new log");
      return {};
    }
    const Result<Lsn> mark = storage::ReadCommitMark(folder_.fs, directory);
    if (!mark.ok()) {
      return RepairLog(mark.status(), "log/COMMITTED");
    }
    Add("log/COMMITTED", FileState::kSound, "records up to " + std::to_string(mark->value) + " were acknowledged");
    const auto contents =
        storage::ReplayLog(folder_.fs,
                           {.directory = directory,
                            .after = manifest_.checkpoint,
                            .acknowledged = std::max(*mark, manifest_.checkpoint),
                            .id = manifest_.log_id},
                           [this](const storage::LogRecord& record) { return state_->Apply(record, {}); });
    if (!contents.ok()) {
      return RepairLog(contents.status(), "log");
    }
    report_.last_lsn = contents->last_lsn;
    for (const storage::LogFileEntry& file : contents->files) {
      const bool last = &file == &contents->files.back();
      const std::string found = "from record " + std::to_string(file.first_lsn.value) + ", " +
                                std::to_string(file.used_bytes) + " bytes used";
      const std::string name = "log/" + file.path.substr(file.path.rfind('/') + 1);
      if (last && contents->torn) {
        Add(name, FileState::kRepairable, found + "; behind them the rest of a write that was cut off",
            "the next start, or a repair, cuts it off: it was never acknowledged");
      } else {
        Add(name, FileState::kSound, found);
      }
    }
    if (contents->unborn_file) {
      Add("log/" + contents->unborn_file->substr(contents->unborn_file->rfind('/') + 1), FileState::kRepairable,
          "a file whose creation was cut off, without records", "the next start, or a repair, removes it");
    }
    for (const std::string& name : contents->strange_files) {
      Add("log/" + name, FileState::kSound, "not a log file of ours: left alone");
    }
    return contents->torn || contents->unborn_file ? OpenLogForRepair(false) : Status();
  }

  // Opening is the repair: it cuts what is torn, removes what is unborn, and writes the mark anew.
  Status OpenLogForRepair(bool ignore_commit_mark) {
    if (!options_.repair) {
      return {};
    }
    storage::LogOptions options{
        .file_size_bytes = limits::kLogFileSizeBytes, .ignore_commit_mark = ignore_commit_mark, .id = manifest_.log_id};
    std::unique_ptr<State> state = NewState();
    Checkpoints checkpoints(folder_.fs, folder_.path);
    std::vector<std::string> warnings;
    LB_TRY(checkpoints.Load(state.get(), &warnings));
    LB_ASSIGN(const std::unique_ptr<storage::Log> log,
              storage::Log::Open(folder_.fs, folder_.path + "/log", options, manifest_.checkpoint,
                                 [&](const storage::LogRecord& record) { return state->Apply(record, {}); }));
    report_.last_lsn = log->last_lsn();
    state_ = std::move(state);
    for (FileReport& file : report_.files) {
      if (file.file.starts_with("log") && file.state != FileState::kSound) {
        file.repaired = true;
        file.remedy = "the log now ends with record " + std::to_string(report_.last_lsn.value);
      }
    }
    return {};
  }

  // The log is not what was acknowledged. If its files are whole up to some record, that record can be made its end.
  Status RepairLog(const Status& damage, const std::string& file) {
    if (damage.code() != StatusCode::kDataLoss) {
      return damage;  // a newer format, a disk error
    }
    std::unique_ptr<State> state = NewState();
    Checkpoints checkpoints(folder_.fs, folder_.path);
    std::vector<std::string> warnings;
    LB_TRY(checkpoints.Load(state.get(), &warnings));
    const auto contents =
        storage::ReplayLog(folder_.fs,
                           {.directory = folder_.path + "/log",
                            .after = manifest_.checkpoint,
                            .acknowledged = {0},
                            .id = manifest_.log_id},
                           [&](const storage::LogRecord& record) { return state->Apply(record, {}); });
    if (!contents.ok()) {
      Add(file, FileState::kLost, std::string(damage.message()), kSnapshot);
      return {};
    }
    // What lies before the checkpoint is in its files, whatever the log has of it.
    report_.last_lsn = std::max(contents->last_lsn, manifest_.checkpoint);
    Add(file, FileState::kLossy, std::string(damage.message()),
        "--repair --accept-loss makes record " + std::to_string(report_.last_lsn.value) +
            " the last one: what was acknowledged after it is given up");
    return options_.accept_loss ? OpenLogForRepair(true) : Status();
  }

  // Of an interrupted checkpoint, or replaced: a start removes them.
  Status ListUnnamedFiles() {
    LB_ASSIGN(const bool exists, folder_.fs.Exists(folder_.path + "/segments"));
    if (!exists || !readable_) {
      return {};
    }
    LB_ASSIGN(const std::vector<std::string> shards, folder_.fs.List(folder_.path + "/segments"));
    for (const std::string& shard : shards) {
      LB_ASSIGN(const std::vector<std::string> files, folder_.fs.List(folder_.path + "/segments/" + shard));
      for (const std::string& name : files) {
        const std::string file = "segments/" + shard + "/" + name;
        if (!named_.contains(file)) {
          Add(file, FileState::kSound, "no checkpoint names it: left over, the next start removes it");
        }
      }
    }
    return {};
  }

  const DataFolder folder_;
  const FolderCheckOptions& options_;
  storage::Manifest manifest_;
  std::unique_ptr<State> state_;
  bool readable_ = true;  // the checkpoint could be loaded
  std::set<std::string> named_;
  FolderReport report_;
};

}  // namespace

Result<FolderReport> CheckFolder(FileSystem& fs, const std::string& path, const FolderCheckOptions& options) {
  LB_ASSIGN(const bool exists, fs.Exists(path + "/FORMAT"));
  if (!exists) {
    return NotFound("'" + path + "' is not a data folder: it has no file FORMAT");
  }
  LB_ASSIGN(const std::unique_ptr<storage::DataDir> lock, storage::DataDir::Open(fs, path, "longbow fsck"));
  return Check(fs, path, options).Run();
}

}  // namespace longbow::engine
