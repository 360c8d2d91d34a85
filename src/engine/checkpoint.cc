#include "engine/checkpoint.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>

#include "base/kill_point.h"
#include "base/limits.h"
#include "engine/entry.h"

namespace longbow::engine {
namespace {

constexpr uint64_t kFileRowsMin = 65'536;  // a last file smaller than this is written anew with the rows that came
constexpr uint64_t kFileRowsMax = 1'048'576;
constexpr char kFolder[] = "segments";

std::string FolderOf(ShardId shard) { return std::string(kFolder) + "/" + std::to_string(shard.value); }

// Rows [begin, end) by ordinal, as batches of the view's columns.
Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> RowsBetween(const View& view, uint64_t begin, uint64_t end) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> batches;
  for (const SegmentView& segment : view.segments) {
    for (const Chunk& chunk : segment.chunks) {
      const uint64_t first = segment.segment->first_ordinal() + chunk.first_row;
      const uint64_t last = first + static_cast<uint64_t>(chunk.rows->num_rows());
      const uint64_t from = std::max(first, begin);
      const uint64_t to = std::min(last, end);
      if (from < to) {
        LB_ASSIGN(const auto rows, ConformTo(*view.schema, *chunk.rows));
        batches.push_back(rows->Slice(static_cast<int64_t>(from - first), static_cast<int64_t>(to - from)));
      }
    }
  }
  return batches;
}

std::vector<uint64_t> DeadRows(const View& view) {
  std::vector<uint64_t> bits((view.rows + 63) / 64, 0);
  for (const SegmentView& segment : view.segments) {
    const index::RowFilter visible = view.FilterOf(segment);
    for (uint32_t row = 0; row < segment.rows; ++row) {
      if (!visible.Contains(row)) {
        const uint64_t ordinal = segment.segment->first_ordinal() + row;
        bits[ordinal >> 6] |= uint64_t{1} << (ordinal & 63);
      }
    }
  }
  return bits;
}

}  // namespace

StateCut CutOf(const State& state) {
  StateCut cut;
  cut.applied = state.applied();
  cut.next_shard = state.next_shard();
  cut.namespaces.assign(state.namespaces().begin(), state.namespaces().end());
  for (const auto& [shard, collection] : state.collections()) {
    cut.collections.push_back({collection, collection->shard.Pin()});
  }
  return cut;
}

Status Checkpoints::Load(State* state) {
  LB_ASSIGN(const std::optional<storage::Manifest> manifest, storage::ReadManifest(fs_, data_dir_));
  if (manifest) {
    for (const storage::CollectionEntry& entry : manifest->collections) {
      LB_TRY(LoadCollection(entry, state));
    }
    for (const std::string& name : manifest->namespaces) {
      state->AddNamespace(name);
    }
    state->SetPosition(manifest->checkpoint, manifest->next_shard);
    manifest_ = *manifest;
  }
  return {};
}

Status Checkpoints::LoadCollection(const storage::CollectionEntry& entry, State* state) {
  LB_ASSIGN(const std::shared_ptr<arrow::Schema> columns, DecodeSchema(entry.schema_ipc));
  LB_ASSIGN(const std::shared_ptr<Collection> collection, state->AddCollection(entry.name, entry.shard, columns));
  uint64_t rows = 0;
  for (const storage::SegmentEntry& segment : entry.segments) {
    if (segment.first_ordinal != rows) {
      return DataLoss("manifest: '" + segment.file + "' starts at row " + std::to_string(segment.first_ordinal) +
                      ", expected " + std::to_string(rows) + ": restore the data folder from a snapshot");
    }
    LB_ASSIGN(const auto batches, storage::ReadSegmentFile(fs_, PathOf(segment.file), segment.digest));
    for (const auto& batch : batches) {
      LB_TRY(collection->shard.LoadRows(batch));
      rows += static_cast<uint64_t>(batch->num_rows());
    }
    if (rows != segment.first_ordinal + segment.rows) {
      return DataLoss("'" + segment.file + "' holds " + std::to_string(rows - segment.first_ordinal) +
                      " rows, the manifest says " + std::to_string(segment.rows) +
                      ": restore the data folder from a snapshot");
    }
  }
  std::vector<uint64_t> dead;
  if (!entry.deleted_file.empty()) {
    LB_ASSIGN(dead, storage::ReadDeletedRows(fs_, PathOf(entry.deleted_file), entry.deleted_digest));
  }
  collection->shard.FinishLoad(dead, entry.last_index);
  return {};
}

Status Checkpoints::Write(const StateCut& cut) {
  LB_TRY(RemoveUnnamedFiles());  // of an attempt that failed: its names are needed again
  storage::Manifest next;
  next.checkpoint = cut.applied;
  next.next_shard = cut.next_shard;
  next.namespaces = cut.namespaces;
  for (const StateCut::Part& part : cut.collections) {
    const auto before = std::find_if(manifest_.collections.begin(), manifest_.collections.end(),
                                     [&](const auto& entry) { return entry.shard == part.collection->shard.id(); });
    LB_ASSIGN(storage::CollectionEntry entry,
              WriteCollection(part, cut.applied, before == manifest_.collections.end() ? nullptr : &*before));
    next.collections.push_back(std::move(entry));
  }
  LB_TRY(storage::WriteManifest(fs_, data_dir_, next));
  manifest_ = std::move(next);
  return RemoveUnnamedFiles();
}

Result<storage::CollectionEntry> Checkpoints::WriteCollection(const StateCut::Part& part, Lsn lsn,
                                                              const storage::CollectionEntry* before) {
  const View& view = *part.view;
  if (before != nullptr && before->last_index.value == view.version) {
    return *before;
  }
  storage::CollectionEntry entry;
  entry.name = part.collection->name;
  entry.shard = part.collection->shard.id();
  LB_ASSIGN(entry.schema_ipc, EncodeSchema(*view.schema->columns));
  entry.rows = view.rows;
  entry.last_index = LogIndex{view.version};
  if (before != nullptr) {
    entry.segments = before->segments;
  }
  uint64_t begin = before != nullptr ? before->rows : 0;
  if (begin < view.rows && !entry.segments.empty() && entry.segments.back().rows < kFileRowsMin) {
    begin = entry.segments.back().first_ordinal;
    entry.segments.pop_back();
  }
  const std::string folder = FolderOf(entry.shard);
  LB_TRY(fs_.CreateDirectories(PathOf(folder)));
  LB_KILL_POINT("checkpoint.folder_made");
  while (begin < view.rows) {
    const uint64_t end = std::min(view.rows, begin + kFileRowsMax);
    LB_ASSIGN(const auto batches, RowsBetween(view, begin, end));
    storage::SegmentEntry segment;
    segment.file = folder + "/" + std::to_string(begin) + "-" + std::to_string(lsn.value) + ".parquet";
    segment.first_ordinal = begin;
    segment.rows = end - begin;
    LB_ASSIGN(segment.digest, storage::WriteSegmentFile(fs_, PathOf(segment.file), view.schema->columns, batches));
    entry.segments.push_back(std::move(segment));
    begin = end;
  }
  if (view.live_rows < view.rows) {
    entry.deleted_file = folder + "/deleted-" + std::to_string(lsn.value) + ".bits";
    LB_ASSIGN(entry.deleted_digest, storage::WriteDeletedRows(fs_, PathOf(entry.deleted_file), DeadRows(view)));
  }
  LB_TRY(fs_.SyncDirectory(PathOf(folder)));
  LB_TRY(fs_.SyncDirectory(PathOf(kFolder)));
  return entry;
}

Status Checkpoints::RemoveUnnamedFiles() {
  std::set<std::string> named;
  std::set<std::string> folders;
  for (const storage::CollectionEntry& entry : manifest_.collections) {
    folders.insert(std::to_string(entry.shard.value));
    for (const storage::SegmentEntry& segment : entry.segments) {
      named.insert(segment.file);
    }
    named.insert(entry.deleted_file);
  }
  LB_ASSIGN(const bool exists, fs_.Exists(PathOf(kFolder)));
  if (!exists) {
    return {};
  }
  LB_ASSIGN(const std::vector<std::string> shards, fs_.List(PathOf(kFolder)));
  for (const std::string& shard : shards) {
    const std::string folder = std::string(kFolder) + "/" + shard;
    if (!folders.contains(shard)) {
      LB_KILL_POINT("unnamed.folder.remove");
      LB_TRY(fs_.RemoveTree(PathOf(folder)));
      continue;
    }
    LB_ASSIGN(const std::vector<std::string> files, fs_.List(PathOf(folder)));
    for (const std::string& file : files) {
      if (!named.contains(folder + "/" + file)) {
        LB_KILL_POINT("unnamed.file.remove");
        LB_TRY(fs_.Remove(PathOf(folder + "/" + file)));
      }
    }
  }
  return {};
}

}  // namespace longbow::engine
