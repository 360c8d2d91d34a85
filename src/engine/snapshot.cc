#include "engine/snapshot.h"

#include <algorithm>
#include <bit>
#include <mutex>
#include <set>

#include "base/crc32c.h"
#include "base/kill_point.h"
#include "base/parallel_for.h"
#include "engine/entry.h"
#include "engine/snapshot_retry.h"
#include "model/schema.h"
#include "storage/content_hash.h"
#include "storage/mapped_file.h"

namespace longbow::engine {
namespace {

using storage::FileRole;
using storage::SnapshotFile;
using storage::SnapshotIndex;
using storage::SnapshotTarget;

constexpr size_t kPieceBytes = size_t{1} << 20;
constexpr size_t kStampSize = 16;  // of an id: the second in which it was taken

// A file of the manifest and what is known of it there.
struct Source {
  const storage::CollectionEntry* collection;
  storage::NamedFile file;
  FileRole role;
  uint64_t rows;
};

Status CheckCancelled(const Cancellation* cancellation) {
  return IsCancelled(cancellation) ? Cancelled("the snapshot was cancelled") : Status();
}

// Calls `take` with the bytes of a file, piece by piece.
template <typename Take>
Status ReadPieces(FileSystem& fs, const std::string& path, const Cancellation* cancellation, Take take) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  std::vector<uint8_t> piece(kPieceBytes);
  for (uint64_t offset = 0;; offset += piece.size()) {
    LB_TRY(CheckCancelled(cancellation));
    LB_ASSIGN(const size_t got, file->ReadAt(offset, piece));
    LB_TRY(take(std::span<const uint8_t>(piece.data(), got)));
    if (got < piece.size()) {
      return {};
    }
  }
}

Status IsDamaged(const std::string& path, const std::string& how) {
  return DataLoss("no snapshot was written: '" + path + "' is damaged: " + how +
                  "; `longbow fsck` says what can be repaired, a restart repairs it");
}

// One snapshot on its way. Take is thread safe.
class SnapshotCopy {
 public:
  SnapshotCopy(const DataFolder& folder, SnapshotTarget& target, KnownContents* known, const Cancellation* cancellation,
               SnapshotProgress* progress)
      : folder_(folder), target_(target), known_(known), cancellation_(cancellation), progress_(progress) {}

  Status FindObjects() {
    LB_ASSIGN(const std::vector<SnapshotTarget::Object> objects, target_.List("objects"));
    for (const SnapshotTarget::Object& object : objects) {
      objects_.emplace("objects/" + object.name, object.size_bytes);
    }
    return {};
  }

  Result<SnapshotFile> Take(const Source& source) {
    LB_TRY(CheckCancelled(cancellation_));
    LB_ASSIGN(SnapshotFile file, Identify(source));
    if (Has(file)) {
      progress_->bytes_done += file.size_bytes;
    } else {
      LB_TRY(Copy(file));
    }
    ++progress_->files_done;
    return file;
  }

  Result<SnapshotFile> TakeManifest(const std::string& content) {
    storage::ContentHash hash;
    hash.Update({reinterpret_cast<const uint8_t*>(content.data()), content.size()});
    const SnapshotFile file{std::string(storage::kManifestFile), content.size(), hash.Finish()};
    if (!Has(file)) {
      LB_TRY(RetryUnavailable(cancellation_, [&] { return storage::WriteObject(target_, file.object(), content); }));
      progress_->bytes_copied += content.size();
    }
    progress_->bytes_done += content.size();
    ++progress_->files_done;
    return file;
  }

 private:
  bool Has(const SnapshotFile& file) {
    const std::lock_guard lock(mu_);
    const auto found = objects_.find(file.object());
    return found != objects_.end() && found->second == file.size_bytes;
  }

  // Reads the whole file unless that was done before.
  Result<SnapshotFile> Identify(const Source& source) {
    const auto key = std::pair(source.file.file, source.file.digest.size_bytes << 32 ^ source.file.digest.crc32c);
    SnapshotFile file{source.file.file, source.file.digest.size_bytes, {}};
    if (LookUp(key, &file.hash)) {
      return file;
    }
    storage::ContentHash hash;
    uint64_t size = 0;
    uint32_t crc = 0;
    LB_TRY(ReadPieces(folder_.fs, folder_.PathOf(file.file), cancellation_, [&](std::span<const uint8_t> bytes) {
      hash.Update(bytes);
      crc = Crc32c(crc, bytes.data(), bytes.size());
      size += bytes.size();
      return Status();
    }));
    if (size != file.size_bytes) {
      return IsDamaged(folder_.PathOf(file.file),
                       "expected " + std::to_string(file.size_bytes) + " bytes, got " + std::to_string(size));
    }
    LB_TRY(Check(source, crc));
    file.hash = hash.Finish();
    const std::lock_guard lock(mu_);
    known_->emplace(key, file.hash);
    return file;
  }

  bool LookUp(const KnownContents::key_type& key, std::string* hash) {
    const std::lock_guard lock(mu_);
    const auto found = known_->find(key);
    if (found != known_->end()) {
      *hash = found->second;
    }
    return found != known_->end();
  }

  // Graphs are not looked into: they are derived, and a start checks every byte before it walks on one.
  Status Check(const Source& source, uint32_t crc) {
    if (source.role == FileRole::kParquet || source.role == FileRole::kDeleted) {
      return crc == source.file.digest.crc32c ? Status()
                                              : IsDamaged(folder_.PathOf(source.file.file), "its checksum differs");
    }
    return source.role == FileRole::kGraph ? Status() : CheckMapped(source);
  }

  Status CheckMapped(const Source& source) {
    using storage::MappedFile;
    using storage::MappedKind;
    storage::MappedContent content{.kind = MappedKind::kColumns, .rows = source.rows, .shape = {}};
    if (source.role == FileRole::kOrdinals) {
      content.kind = MappedKind::kOrdinals;
    } else if (source.role == FileRole::kVectors) {
      LB_ASSIGN(const auto columns, DecodeSchema(source.collection->schema_ipc));
      LB_ASSIGN(const CollectionSchema schema, CollectionSchema::FromArrow(columns));
      content.kind = MappedKind::kVectors;
      content.shape = {static_cast<uint32_t>(schema.element), schema.dimension, static_cast<uint32_t>(schema.metric)};
    }
    const std::string path = folder_.PathOf(source.file.file);
    LB_ASSIGN(const MappedFile file, MappedFile::Open(folder_.fs, path, source.file.digest, content));
    LB_ASSIGN(const auto damages, file.Verify([this] { return !IsCancelled(cancellation_); }));
    return damages.empty() ? Status() : IsDamaged(path, "at offset " + std::to_string(damages.front().offset));
  }

  Status Copy(const SnapshotFile& file) {
    LB_TRY(RetryUnavailable(cancellation_, [&] { return CopyOnce(file); }));
    {
      const std::lock_guard lock(mu_);
      objects_[file.object()] = file.size_bytes;
    }
    LB_KILL_POINT("snapshot.object.written");
    return {};
  }

  Status CopyOnce(const SnapshotFile& file) {
    LB_ASSIGN(const std::unique_ptr<SnapshotTarget::Writer> writer, target_.Create(file.object()));
    storage::ContentHash hash;
    uint64_t done = 0;
    Status status =
        ReadPieces(folder_.fs, folder_.PathOf(file.file), cancellation_, [&](std::span<const uint8_t> bytes) {
          hash.Update(bytes);
          LB_TRY(writer->Append(bytes));
          done += bytes.size();
          progress_->bytes_done += bytes.size();
          progress_->bytes_copied += bytes.size();
          return Status();
        });
    if (status.ok() && hash.Finish() != file.hash) {
      status = IsDamaged(folder_.PathOf(file.file), "it reads otherwise than before");
    }
    if (status.ok()) {
      status = writer->Finish();
    }
    if (!status.ok()) {
      progress_->bytes_done -= done;
    }
    return status;
  }

  const DataFolder& folder_;
  SnapshotTarget& target_;
  std::mutex mu_;
  KnownContents* const known_;  // guarded by mu_
  const Cancellation* const cancellation_;
  SnapshotProgress* const progress_;
  std::map<std::string, uint64_t> objects_;  // guarded by mu_: what is there
};

// The manifest of the wanted collections.
Result<storage::Manifest> Chosen(const storage::Manifest& manifest, const std::string& collection) {
  storage::Manifest chosen = manifest;
  chosen.log_id = 0;  // a restore begins another log
  if (collection.empty()) {
    return chosen;
  }
  std::erase_if(chosen.collections, [&](const auto& entry) { return entry.name != collection; });
  chosen.namespaces.clear();
  if (chosen.collections.empty()) {
    return NotFound("dataset " + collection + " not found");
  }
  return chosen;
}

Result<uint64_t> LiveRows(const DataFolder& folder, const storage::CollectionEntry& entry) {
  if (!entry.deleted.any()) {
    return entry.rows();
  }
  LB_ASSIGN(const std::vector<uint64_t> dead,
            storage::ReadDeletedRows(folder.fs, folder.PathOf(entry.deleted.file), entry.deleted.digest));
  uint64_t rows = entry.rows();
  for (const uint64_t word : dead) {
    rows -= static_cast<uint64_t>(std::popcount(word));
  }
  return rows;
}

}  // namespace

Result<SnapshotIndex> WriteSnapshot(const DataFolder& folder, const storage::Manifest& all,
                                    const SnapshotRequest& request, SnapshotTarget& target, KnownContents* known,
                                    const Cancellation* cancellation, SnapshotProgress* progress) {
  LB_ASSIGN(const storage::Manifest manifest, Chosen(all, request.collection));
  LB_ASSIGN(const std::string content, storage::EncodeManifest(std::string(storage::kManifestFile), manifest));
  std::vector<Source> sources;
  uint64_t bytes_total = content.size();
  storage::ForEachFile(manifest, [&](const auto& collection, const auto& file, FileRole role, uint64_t rows) {
    if (file.any()) {
      sources.push_back({&collection, file, role, rows});
      bytes_total += file.digest.size_bytes;
    }
  });
  progress->bytes_total = bytes_total;
  progress->files_total = sources.size() + 1;

  SnapshotIndex index{request.id, request.taken_at_ns, manifest.checkpoint, request.collection, {}, {}};
  for (const storage::CollectionEntry& entry : manifest.collections) {
    LB_ASSIGN(const uint64_t rows, LiveRows(folder, entry));
    index.collections.push_back({entry.name, rows});
  }
  SnapshotCopy copy(folder, target, known, cancellation, progress);
  LB_TRY(RetryUnavailable(cancellation, [&] { return copy.FindObjects(); }));
  LB_KILL_POINT("snapshot.begin");
  LB_ASSIGN(SnapshotFile named, copy.TakeManifest(content));
  index.files.push_back(std::move(named));
  index.files.resize(1 + sources.size());
  LB_TRY(ParallelFor(sources.size(), {.threads = target.streams()}, [&](size_t begin, size_t end) -> Status {
    for (size_t i = begin; i < end; ++i) {
      LB_ASSIGN(index.files[1 + i], copy.Take(sources[i]));
    }
    return {};
  }));
  LB_TRY(target.Sync());
  LB_KILL_POINT("snapshot.objects.synced");
  LB_TRY(CheckCancelled(cancellation));
  const std::string text = storage::EncodeSnapshotIndex(index);
  LB_TRY(RetryUnavailable(cancellation,
                          [&] { return storage::WriteObject(target, storage::SnapshotIndexName(index.id), text); }));
  LB_KILL_POINT("snapshot.index.written");
  LB_TRY(target.Sync());
  LB_KILL_POINT("snapshot.done");
  return index;
}

Result<std::vector<ListedSnapshot>> ListSnapshots(SnapshotTarget& target) {
  LB_ASSIGN(const std::vector<SnapshotTarget::Object> objects, target.List("snapshots"));
  std::vector<ListedSnapshot> snapshots;
  for (const SnapshotTarget::Object& object : objects) {
    const std::string id = object.name.substr(0, object.name.find('.'));
    if ("snapshots/" + object.name != storage::SnapshotIndexName(id) || !storage::IsSnapshotId(id)) {
      continue;
    }
    Result<SnapshotIndex> index = ReadSnapshotIndex(target, id);
    if (!index.ok() && index.status().code() == StatusCode::kUnavailable) {
      return index.status();
    }
    ListedSnapshot listed{index.ok() ? *index : SnapshotIndex(), index.status()};
    listed.index.id = id;
    snapshots.push_back(std::move(listed));
  }
  std::stable_sort(snapshots.begin(), snapshots.end(), [](const ListedSnapshot& a, const ListedSnapshot& b) {
    return std::pair(a.index.id.substr(0, kStampSize), a.index.taken_at_ns) <
           std::pair(b.index.id.substr(0, kStampSize), b.index.taken_at_ns);
  });
  return snapshots;
}

Result<SnapshotIndex> ReadSnapshotIndex(SnapshotTarget& target, const std::string& id) {
  if (!storage::IsSnapshotId(id)) {
    return NotFound("'" + id + "' is no id of a snapshot; `longbow snapshots` lists them");
  }
  const std::string name = storage::SnapshotIndexName(id);
  const Result<std::string> content = storage::ReadObject(target, name);
  if (content.status().code() == StatusCode::kNotFound) {
    return NotFound("there is no snapshot " + id + " in '" + target.where() + "'; `longbow snapshots` lists them");
  }
  LB_TRY(content.status());
  LB_ASSIGN(SnapshotIndex index, storage::DecodeSnapshotIndex(target.where() + "/" + name, *content));
  if (index.id != id) {
    return DataLoss("'" + target.where() + "/" + name + "' is the index of snapshot " + index.id +
                    "; choose another one");
  }
  return index;
}

}  // namespace longbow::engine
