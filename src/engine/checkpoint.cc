#include "engine/checkpoint.h"

#include <arrow/api.h>

#include <algorithm>
#include <set>

#include "base/kill_point.h"
#include "base/late_sync.h"
#include "base/limits.h"
#include "engine/entry.h"
#include "engine/graph_file.h"

namespace longbow::engine {
namespace {

constexpr char kFolder[] = "segments";

std::string FolderOf(ShardId shard) { return std::string(kFolder) + "/" + std::to_string(shard.value); }

// Bit by bit through the segments of a view.
std::vector<uint64_t> DeadRows(const View& view) {
  std::vector<uint64_t> bits((view.rows + 63) / 64, 0);
  uint64_t first_bit = 0;
  for (const SegmentView& segment : view.segments) {
    const index::RowFilter visible = view.FilterOf(segment);
    for (uint32_t row = 0; row < segment.rows; ++row) {
      if (!visible.Contains(row)) {
        bits[(first_bit + row) >> 6] |= uint64_t{1} << ((first_bit + row) & 63);
      }
    }
    first_bit += segment.rows;
  }
  return bits;
}

// Whether a manifest's collection has just the segments of a view.
bool SameSegments(const storage::CollectionEntry& entry, const View& view) {
  return std::equal(entry.segments.begin(), entry.segments.end(), view.segments.begin(), view.segments.end(),
                    [](const auto& a, const SegmentView& b) { return a.number == b.segment->number(); });
}

SegmentIdentity IdentityOf(const storage::SegmentEntry& entry) {
  return {entry.number, entry.first_ordinal, entry.parts.empty() || entry.parts.front().vectors.any()};
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

Status Checkpoints::Load(State* state, std::vector<std::string>* warnings) {
  LB_ASSIGN(const std::optional<storage::Manifest> manifest, storage::ReadManifest(folder_.fs, folder_.path));
  if (manifest) {
    for (const storage::CollectionEntry& entry : manifest->collections) {
      LB_TRY(LoadCollection(entry, state, warnings));
    }
    for (const std::string& name : manifest->namespaces) {
      state->AddNamespace(name);
    }
    state->SetPosition(manifest->checkpoint, manifest->next_shard);
    manifest_ = *manifest;
  }
  return {};
}

Status Checkpoints::LoadCollection(const storage::CollectionEntry& entry, State* state,
                                   std::vector<std::string>* warnings) {
  LB_ASSIGN(const std::shared_ptr<arrow::Schema> columns, DecodeSchema(entry.schema_ipc));
  LB_ASSIGN(const std::shared_ptr<Collection> collection, state->AddCollection(entry.name, entry.shard, columns));
  for (const storage::SegmentEntry& segment : entry.segments) {
    const bool is_last = &segment == &entry.segments.back();
    LB_ASSIGN(std::shared_ptr<Segment> loaded, LoadSegment(*collection, segment, is_last, warnings));
    if (loaded->has_graph() && segment.graph.any()) {
      loaded->graph().AwaitSealed();
    }
    collection->shard.LoadSegment(std::move(loaded));
  }
  std::vector<uint64_t> dead;
  if (entry.deleted.any()) {
    LB_ASSIGN(dead, storage::ReadDeletedRows(folder_.fs, folder_.PathOf(entry.deleted.file), entry.deleted.digest));
  }
  collection->shard.FinishLoad(dead, {entry.end_ordinal, entry.next_segment, entry.last_index});
  return {};
}

// The last one goes on taking rows unless it has a sealed graph, which cannot take them.
Result<std::shared_ptr<Segment>> Checkpoints::LoadSegment(const Collection& collection,
                                                          const storage::SegmentEntry& entry, bool is_last,
                                                          std::vector<std::string>* warnings) {
  const CollectionSchema& schema = *collection.shard.Pin()->schema;
  const SegmentOptions& options = collection.shard.segment_options();
  const SegmentIdentity identity = IdentityOf(entry);
  const auto rows = static_cast<uint32_t>(entry.rows());
  LB_ASSIGN(std::shared_ptr<const RowOrdinals> ordinals, ReadOrdinals(folder_, entry));
  SegmentOptions open = options;
  open.rows_max = SegmentRowsMax(schema, options);
  const bool is_open = is_last && !entry.graph.any() && ordinals == nullptr && rows < open.rows_max;
  LB_ASSIGN(std::shared_ptr<Segment> segment,
            is_open ? Segment::Create(schema, open, identity)
                    : Segment::CreateClosed(schema, options, identity, rows, entry.end_ordinal, std::move(ordinals)));
  for (size_t part = 0; part < entry.parts.size(); ++part) {
    Status damage;
    LB_TRY(LoadPart(folder_, entry.parts[part], schema, segment.get(), &damage));
    if (!damage.ok()) {
      MarkPart({collection.shard.id(), entry.number}, part);
      warnings->push_back(damage.ToString());
    }
  }
  return segment;
}

Result<std::shared_ptr<Segment>> Checkpoints::MapSegment(const Collection& collection,
                                                         const storage::SegmentEntry& entry) const {
  const CollectionSchema& schema = *collection.shard.Pin()->schema;
  LB_ASSIGN(std::shared_ptr<const RowOrdinals> ordinals, ReadOrdinals(folder_, entry));
  LB_ASSIGN(std::shared_ptr<Segment> segment,
            Segment::CreateClosed(schema, collection.shard.segment_options(), IdentityOf(entry),
                                  static_cast<uint32_t>(entry.rows()), entry.end_ordinal, std::move(ordinals)));
  for (const storage::PartEntry& part : entry.parts) {
    LB_TRY(MapPart(folder_, part, schema, segment.get()));
  }
  if (segment->has_graph() && entry.graph.any()) {
    LB_ASSIGN(SegmentGraph::Sealed graph, OpenGraph(folder_, entry.graph, segment->shared_vectors()));
    segment->graph().AdoptSealed(std::move(graph), segment->rows());
  }
  return segment;
}

const storage::CollectionEntry* Checkpoints::FindCollection(ShardId shard) const {
  const auto found = std::find_if(manifest_.collections.begin(), manifest_.collections.end(),
                                  [&](const auto& entry) { return entry.shard == shard; });
  return found == manifest_.collections.end() ? nullptr : &*found;
}

const storage::SegmentEntry* Checkpoints::FindSegment(const storage::CollectionEntry* collection, uint64_t number) {
  if (collection == nullptr) {
    return nullptr;
  }
  const auto found = std::find_if(collection->segments.begin(), collection->segments.end(),
                                  [&](const auto& entry) { return entry.number == number; });
  return found == collection->segments.end() ? nullptr : &*found;
}

Status Checkpoints::WriteGraphs(const std::vector<StateCut::Part>& collections, const std::function<bool()>& keep_on,
                                size_t* written) {
  for (const StateCut::Part& part : collections) {
    const ShardId shard = part.collection->shard.id();
    for (const SegmentView& segment : part.view->segments) {
      if (!segment.segment->has_graph()) {
        continue;
      }
      const SegmentKey key{shard, segment.segment->number()};
      const SegmentGraph::Sealed graph = segment.segment->graph().sealed();
      const auto named = graph_rows_.find(key);
      const auto waiting = graphs_.find(key);
      if (graph.index == nullptr || (named != graph_rows_.end() && named->second >= graph.rows) ||
          (waiting != graphs_.end() && waiting->second.rows >= graph.rows)) {
        continue;
      }
      LB_TRY(folder_.fs.CreateDirectories(folder_.PathOf(FolderOf(shard))));
      const std::string file = FolderOf(shard) + "/" + std::to_string(key.second) + "-" + std::to_string(graph.rows) +
                               "-g" + std::to_string(manifest_.generation + 1) + ".graph";
      LB_TRY(RemoveLeftover(file));
      LB_ASSIGN(storage::NamedFile stored, WriteGraph(folder_, file, graph, keep_on));
      graphs_[key] = {std::move(stored), graph.rows};
      ++*written;
    }
  }
  return {};
}

bool Checkpoints::HasNewsOf(ShardId shard) const {
  const SegmentKey first{shard, 0};
  const auto graph = graphs_.lower_bound(first);
  const auto part = marked_parts_.lower_bound({first, 0});
  return (graph != graphs_.end() && graph->first.first == shard) ||
         (part != marked_parts_.end() && part->first.first == shard);
}

void Checkpoints::NoteGraph(const SegmentKey& segment, uint32_t rows) { graph_rows_[segment] = rows; }

void Checkpoints::ForgetGraph(const SegmentKey& segment) {
  for (storage::CollectionEntry& collection : manifest_.collections) {
    for (storage::SegmentEntry& entry : collection.segments) {
      if (collection.shard == segment.first && entry.number == segment.second) {
        entry.graph = {};
      }
    }
  }
}

// What an attempt that failed left under a name that is needed again.
Status Checkpoints::RemoveLeftover(const std::string& file) {
  LB_ASSIGN(const bool exists, folder_.fs.Exists(folder_.PathOf(file)));
  return exists ? folder_.fs.Remove(folder_.PathOf(file)) : Status();
}

Status Checkpoints::Write(const StateCut& cut, const std::function<bool()>& keep_on) {
  LB_TRY(RemoveUnnamedFiles());  // of an attempt that failed: its names are needed again
  storage::Manifest next;
  next.generation = manifest_.generation + 1;
  next.checkpoint = cut.applied;
  next.log_id = cut.log_id;
  next.next_shard = cut.next_shard;
  next.namespaces = cut.namespaces;
  LateSync late(folder_.fs, folder_.path);
  const Target target{{late, folder_.path}, next.generation};
  for (const StateCut::Part& part : cut.collections) {
    if (!keep_on()) {
      return Cancelled("the store is stopping; the log keeps everything");
    }
    LB_ASSIGN(storage::CollectionEntry entry,
              WriteCollection(part, FindCollection(part.collection->shard.id()), target));
    next.collections.push_back(std::move(entry));
  }
  if (!next.collections.empty()) {
    LB_TRY(late.SyncDirectory(folder_.PathOf(kFolder)));
  }
  LB_KILL_POINT("checkpoint.files_written");
  LB_TRY(late.Settle());
  LB_KILL_POINT("checkpoint.files_synced");
  LB_TRY(storage::WriteManifest(folder_.fs, folder_.path, next));
  manifest_ = std::move(next);
  for (const auto& [key, graph] : graphs_) {
    graph_rows_[key] = graph.rows;
  }
  graphs_.clear();
  marked_parts_.clear();
  return RemoveUnnamedFiles();
}

Result<storage::CollectionEntry> Checkpoints::WriteCollection(const StateCut::Part& part,
                                                              const storage::CollectionEntry* before,
                                                              const Target& target) {
  const View& view = *part.view;
  if (before != nullptr && before->last_index.value == view.version && SameSegments(*before, view) &&
      !HasNewsOf(before->shard)) {
    return *before;
  }
  storage::CollectionEntry entry;
  entry.name = part.collection->name;
  entry.shard = part.collection->shard.id();
  LB_ASSIGN(entry.schema_ipc, EncodeSchema(*view.schema->columns));
  entry.end_ordinal = view.end_ordinal;
  entry.next_segment = view.next_segment;
  entry.last_index = LogIndex{view.version};
  const std::string folder = FolderOf(entry.shard);
  LB_TRY(target.folder.fs.CreateDirectories(target.folder.PathOf(folder)));
  LB_KILL_POINT("checkpoint.folder_made");
  for (const SegmentView& segment : view.segments) {
    LB_ASSIGN(storage::SegmentEntry stored,
              WriteSegment(part, segment, FindSegment(before, segment.segment->number()), target));
    entry.segments.push_back(std::move(stored));
  }
  if (view.live_rows < view.rows) {
    entry.deleted.file = folder + "/deleted-g" + std::to_string(target.generation) + ".bits";
    LB_ASSIGN(entry.deleted.digest,
              storage::WriteDeletedRows(target.folder.fs, target.folder.PathOf(entry.deleted.file), DeadRows(view)));
  }
  LB_TRY(target.folder.fs.SyncDirectory(target.folder.PathOf(folder)));
  return entry;
}

// Parts stay as they are, but for the last one while it has not a whole number of units, and for those marked.
Result<storage::SegmentEntry> Checkpoints::WriteSegment(const StateCut::Part& part, const SegmentView& segment,
                                                        const storage::SegmentEntry* before, const Target& target) {
  const ShardId shard = part.collection->shard.id();
  const SegmentKey key{shard, segment.segment->number()};
  const std::string stem = FolderOf(shard) + "/" + std::to_string(key.second);
  const std::string suffix = "-g" + std::to_string(target.generation);
  storage::SegmentEntry entry;
  entry.number = key.second;
  entry.first_ordinal = segment.segment->first_ordinal();
  entry.end_ordinal = segment.rows == 0 ? entry.first_ordinal : segment.segment->OrdinalOf(segment.rows - 1) + 1;
  uint32_t row = 0;
  const auto write = [&](uint32_t begin, uint32_t end) -> Status {
    LB_ASSIGN(storage::PartEntry written, WritePart(target.folder, stem + "-" + std::to_string(begin) + suffix,
                                                    *part.view->schema, segment, begin, end));
    entry.parts.push_back(std::move(written));
    row = end;
    return {};
  };
  if (before != nullptr) {
    entry.ordinals = before->ordinals;
    entry.graph = before->graph;
    for (size_t i = 0; i < before->parts.size(); ++i) {
      const auto end = static_cast<uint32_t>(row + before->parts[i].rows);
      if (end % kPartRowsUnit != 0 && end < segment.rows) {
        break;
      }
      if (marked_parts_.contains({key, i})) {
        LB_TRY(write(row, end));
      } else {
        entry.parts.push_back(before->parts[i]);
        row = end;
      }
    }
  }
  const uint32_t whole = segment.rows / kPartRowsUnit * kPartRowsUnit;
  if (row < whole && !segment.segment->is_closed()) {
    LB_TRY(write(row, whole));
  }
  if (row < segment.rows) {
    LB_TRY(write(row, segment.rows));
  }
  if (segment.segment->ordinals() != nullptr && !entry.ordinals.any()) {
    LB_ASSIGN(entry.ordinals, WriteOrdinals(target.folder, stem + suffix + ".ordinals", *segment.segment->ordinals()));
  }
  if (const auto graph = graphs_.find(key); graph != graphs_.end()) {
    entry.graph = graph->second.file;
  }
  return entry;
}

std::shared_ptr<const storage::Manifest> Checkpoints::Pin() {
  std::erase_if(pinned_, [](const auto& pin) { return pin.expired(); });
  auto manifest = std::make_shared<const storage::Manifest>(manifest_);
  pinned_.push_back(manifest);
  return manifest;
}

Status Checkpoints::RemoveUnnamedFiles() {
  std::set<std::string> named;
  std::set<std::string> folders;
  const auto keep = [&](const storage::NamedFile& file) { named.insert(file.file); };
  const auto keep_all = [&](const storage::Manifest& manifest) {
    for (const storage::CollectionEntry& entry : manifest.collections) {
      folders.insert(std::to_string(entry.shard.value));
    }
    storage::ForEachFile(manifest, [&](const auto&, const storage::NamedFile& file, auto, auto) { keep(file); });
  };
  keep_all(manifest_);
  for (const std::weak_ptr<const storage::Manifest>& pin : pinned_) {
    if (const auto manifest = pin.lock()) {
      keep_all(*manifest);
    }
  }
  for (const auto& [key, graph] : graphs_) {
    folders.insert(std::to_string(key.first.value));
    keep(graph.file);
  }
  LB_ASSIGN(const bool exists, folder_.fs.Exists(folder_.PathOf(kFolder)));
  if (!exists) {
    return {};
  }
  LB_ASSIGN(const std::vector<std::string> shards, folder_.fs.List(folder_.PathOf(kFolder)));
  for (const std::string& shard : shards) {
    const std::string folder = std::string(kFolder) + "/" + shard;
    if (!folders.contains(shard)) {
      LB_KILL_POINT("unnamed.folder.remove");
      LB_TRY(folder_.fs.RemoveTree(folder_.PathOf(folder)));
      continue;
    }
    LB_ASSIGN(const std::vector<std::string> files, folder_.fs.List(folder_.PathOf(folder)));
    for (const std::string& file : files) {
      if (!named.contains(folder + "/" + file)) {
        LB_KILL_POINT("unnamed.file.remove");
        LB_TRY(folder_.fs.Remove(folder_.PathOf(folder + "/" + file)));
      }
    }
  }
  return {};
}

}  // namespace longbow::engine
