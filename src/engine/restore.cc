// A data folder from a snapshot.
#include <algorithm>
#include <filesystem>
#include <set>

#include "base/kill_point.h"
#include "base/parallel_for.h"
#include "engine/checkpoint.h"
#include "engine/snapshot.h"
#include "engine/snapshot_retry.h"
#include "engine/state.h"
#include "storage/content_hash.h"
#include "storage/data_dir.h"
#include "storage/log.h"

namespace longbow::engine {
namespace {

using storage::SnapshotFile;
using storage::SnapshotIndex;
using storage::SnapshotTarget;

constexpr size_t kPieceBytes = size_t{1} << 20;

class Restore {
 public:
  Restore(FileSystem& fs, SnapshotTarget& source, const RestoreRequest& request, SnapshotProgress* progress)
      : folder_{fs, request.data_dir}, source_(source), request_(request), progress_(progress) {}

  Status Run(const SnapshotIndex& index) {
    progress_->files_total = index.files.size();
    progress_->bytes_total = index.size_bytes();
    LB_ASSIGN(const std::string manifest, FetchManifest(index));
    LB_TRY(MakeFolders(index));
    LB_TRY(ParallelFor(index.files.size(), {.threads = source_.streams()}, [&](size_t begin, size_t end) -> Status {
      for (size_t i = begin; i < end; ++i) {
        if (index.files[i].file != storage::kManifestFile) {
          LB_TRY(Fetch(index.files[i]));
        }
      }
      return {};
    }));
    LB_TRY(SyncFolders());
    LB_KILL_POINT("restore.files.synced");
    LB_TRY(WriteWholeFile(folder_.fs, folder_.PathOf(std::string(storage::kManifestFile)), manifest));
    LB_KILL_POINT("restore.manifest.written");
    LB_ASSIGN(const Lsn lsn, CountRows(index));
    return BeginLog(lsn);
  }

 private:
  Status Damaged(const SnapshotFile& file, const std::string& how) const {
    return DataLoss("'" + source_.where() + "/" + file.object() + "' (" + file.file + ") is damaged: " + how +
                    "; this snapshot cannot be restored: choose another one, `longbow snapshots` lists them");
  }

  // Calls `take` with the bytes of an object, which must be those that the index says.
  template <typename Take>
  Status Read(const SnapshotFile& file, Take take) {
    auto reader = source_.Open(file.object());
    if (reader.status().code() == StatusCode::kNotFound) {
      return DataLoss(
          "'" + source_.where() + "/" + file.object() + "' (" + file.file +
          ") is missing: this snapshot cannot be restored: choose another one, `longbow snapshots` lists them");
    }
    LB_TRY(reader.status());
    storage::ContentHash hash;
    std::vector<uint8_t> piece(std::min<uint64_t>(kPieceBytes, file.size_bytes + 1));
    uint64_t size = 0;
    while (true) {
      LB_ASSIGN(const size_t got, (*reader)->Read(piece));
      size += got;
      if (size > file.size_bytes) {
        return Damaged(file, "it has more than " + std::to_string(file.size_bytes) + " bytes");
      }
      hash.Update({piece.data(), got});
      LB_TRY(take(std::span<const uint8_t>(piece.data(), got)));
      if (got < piece.size()) {
        break;
      }
    }
    if (size != file.size_bytes) {
      return Damaged(file, "expected " + std::to_string(file.size_bytes) + " bytes, got " + std::to_string(size));
    }
    const std::string got = hash.Finish();
    return got == file.hash ? Status() : Damaged(file, "expected XXH3 " + file.hash + ", got " + got);
  }

  // Whose list of files must be the index's: no other file is written, none is missing.
  Result<std::string> FetchManifest(const SnapshotIndex& index) {
    std::string content;
    std::set<std::string> expected;
    for (const SnapshotFile& file : index.files) {
      if (file.file == storage::kManifestFile) {
        LB_TRY(RetryUnavailable(nullptr, [&] {
          content.clear();
          return Read(file, [&](std::span<const uint8_t> bytes) {
            content.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
            return Status();
          });
        }));
        progress_->bytes_done += file.size_bytes;
        ++progress_->files_done;
      } else {
        expected.insert(file.file);
      }
    }
    LB_ASSIGN(const storage::Manifest manifest,
              storage::DecodeManifest(source_.where() + "/snapshots/" + index.id + ": MANIFEST", content));
    std::set<std::string> named;
    storage::ForEachFile(manifest, [&](const auto&, const storage::NamedFile& file, auto, auto) {
      if (file.any()) {
        named.insert(file.file);
      }
    });
    if (named != expected || manifest.checkpoint != index.lsn) {
      return DataLoss("snapshot " + index.id + " in '" + source_.where() +
                      "': its index and its manifest name different files; choose another one");
    }
    return content;
  }

  Status MakeFolders(const SnapshotIndex& index) {
    for (const SnapshotFile& file : index.files) {
      const std::string parent = std::filesystem::path(folder_.PathOf(file.file)).parent_path().string();
      if (file.file != storage::kManifestFile && folders_.insert(parent).second) {
        LB_TRY(folder_.fs.CreateDirectories(parent));
      }
    }
    return {};
  }

  Status Fetch(const SnapshotFile& file) {
    const std::string path = folder_.PathOf(file.file);
    LB_ASSIGN(const bool is_there, IsThere(file));
    if (is_there) {
      progress_->bytes_done += file.size_bytes;
    } else {
      LB_TRY(RetryUnavailable(nullptr, [&] { return FetchOnce(file, path); }));
      progress_->bytes_copied += file.size_bytes;
      LB_KILL_POINT("restore.file.written");
    }
    ++progress_->files_done;
    return {};
  }

  // Of an earlier try that was interrupted.
  Result<bool> IsThere(const SnapshotFile& file) {
    const std::string path = folder_.PathOf(file.file);
    LB_ASSIGN(const bool exists, folder_.fs.Exists(path));
    if (!exists) {
      return false;
    }
    LB_ASSIGN(const std::unique_ptr<File> in, folder_.fs.Open(path, OpenMode::kRead));
    LB_ASSIGN(const uint64_t size, in->Size());
    if (size != file.size_bytes) {
      return false;
    }
    storage::ContentHash hash;
    std::vector<uint8_t> piece(kPieceBytes);
    for (uint64_t offset = 0; offset < size; offset += piece.size()) {
      LB_ASSIGN(const size_t got, in->ReadAt(offset, piece));
      hash.Update({piece.data(), got});
    }
    if (hash.Finish() != file.hash) {
      return false;
    }
    LB_TRY(in->Sync());
    return true;
  }

  Status FetchOnce(const SnapshotFile& file, const std::string& path) {
    LB_ASSIGN(const std::unique_ptr<File> out, folder_.fs.Open(path, OpenMode::kCreateOrTruncate));
    uint64_t offset = 0;
    const Status status = Read(file, [&](std::span<const uint8_t> bytes) {
      LB_TRY(out->WriteAt(offset, {Slice(bytes.data(), bytes.size(), nullptr)}));
      offset += bytes.size();
      progress_->bytes_done += bytes.size();
      return Status();
    });
    if (!status.ok()) {
      progress_->bytes_done -= offset;
      return status;
    }
    return out->Sync();
  }

  Status SyncFolders() {
    if (!folders_.empty()) {
      folders_.insert(folder_.PathOf("segments"));
    }
    for (const std::string& folder : folders_) {
      LB_TRY(folder_.fs.SyncDirectory(folder));
    }
    return folder_.fs.SyncDirectory(folder_.path);
  }

  // Opens all collections as a start does. The LSN they are of.
  Result<Lsn> CountRows(const SnapshotIndex& index) {
    State state(request_.segment);
    std::vector<std::string> warnings;
    Checkpoints checkpoints(folder_.fs, folder_.path);
    LB_TRY(checkpoints.Load(&state, &warnings));
    if (!warnings.empty()) {
      return DataLoss("snapshot " + index.id + ": " + warnings.front() + "; choose another one");
    }
    std::vector<storage::SnapshotCollection> found;
    for (const auto& [shard, collection] : state.collections()) {
      found.push_back({collection->name, collection->shard.Pin()->live_rows});
    }
    auto expected = index.collections;
    const auto by_name = [](const auto& a, const auto& b) { return a.name < b.name; };
    std::sort(found.begin(), found.end(), by_name);
    std::sort(expected.begin(), expected.end(), by_name);
    if (found != expected) {
      return DataLoss("snapshot " + index.id + ": the rows that were restored are not as many as its index says; " +
                      "choose another one");
    }
    return checkpoints.last();
  }

  Status BeginLog(Lsn lsn) {
    storage::LogOptions options{.file_size_bytes = request_.log_file_size_bytes};
    LB_ASSIGN(const std::unique_ptr<storage::Log> log,
              storage::Log::Open(folder_.fs, folder_.PathOf("log"), options, lsn,
                                 [](const storage::LogRecord&) { return Status(); }));
    log->Stop();
    LB_KILL_POINT("restore.log.begun");
    return {};
  }

  const DataFolder folder_;
  SnapshotTarget& source_;
  const RestoreRequest& request_;
  SnapshotProgress* const progress_;
  std::set<std::string> folders_;
};

Result<SnapshotIndex> Choose(SnapshotTarget& source, const std::string& id) {
  if (!id.empty()) {
    return ReadSnapshotIndex(source, id);
  }
  LB_ASSIGN(std::vector<ListedSnapshot> snapshots, ListSnapshots(source));
  for (; !snapshots.empty(); snapshots.pop_back()) {
    LB_TRY(snapshots.back().status);  // an older one instead would surprise
    if (snapshots.back().index.collection.empty()) {
      return std::move(snapshots.back().index);
    }
  }
  return NotFound("there is no snapshot of a whole store in '" + source.where() +
                  "'; `longbow snapshots` lists what there is");
}

}  // namespace

Result<SnapshotIndex> RestoreSnapshot(FileSystem& fs, SnapshotTarget& source, const RestoreRequest& request,
                                      Clock& clock, SnapshotProgress* progress) {
  LB_ASSIGN(SnapshotIndex index, Choose(source, request.id));
  LB_ASSIGN(const std::unique_ptr<storage::DataDir> folder,
            storage::DataDir::BeginRestore(fs, request.data_dir, index.id, clock));
  LB_TRY(Restore(fs, source, request, progress).Run(index));
  LB_TRY(storage::DataDir::FinishRestore(fs, request.data_dir));
  return index;
}

}  // namespace longbow::engine
