// The state up to one LSN as files: segments, bitmaps of dead rows, and the manifest that names them.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/status.h"
#include "engine/segment_files.h"
#include "engine/state.h"
#include "engine/view.h"
#include "storage/manifest.h"

namespace longbow::engine {

// A consistent cut, taken between two entries; the views keep it as it was.
struct StateCut {
  Lsn applied;
  uint64_t log_id = 0;  // of the log that comes after it
  ShardId next_shard;
  std::vector<std::string> namespaces;
  struct Part {
    std::shared_ptr<Collection> collection;
    std::shared_ptr<const View> view;
  };
  std::vector<Part> collections;
};
StateCut CutOf(const State& state);

// A segment among those of all shards.
using SegmentKey = std::pair<ShardId, uint64_t>;

// Writes and loads checkpoints of one data folder. One thread at a time.
class Checkpoints {
 public:
  Checkpoints(FileSystem& fs, std::string data_dir) : folder_{fs, std::move(data_dir)} {}

  // Start-up: brings `state` to the last checkpoint (nothing if there is none), its rows mapped from their files.
  // Changes no file. Errors as ReadManifest and LoadPart; what is only derived and damaged is none: `warnings`.
  Status Load(State* state, std::vector<std::string>* warnings);

  // Writes the rows that came since the last checkpoint, and all of the parts that are marked, and swaps the manifest;
  // on OK everything up to cut.applied is durable outside the log. After an error the last checkpoint stands. CANCELLED
  // once `keep_on` is false.
  Status Write(const StateCut& cut, const std::function<bool()>& keep_on);
  // Whether there is anything to write but entries of the log: graphs, marked parts.
  bool HasNews() const { return !graphs_.empty() || !marked_parts_.empty(); }
  bool HasNewsOf(ShardId shard) const;

  // Writes the sealed graphs of segments that have none in a file, or one of fewer rows. They are named by a Write of a
  // cut that is taken later than this call: what they leave out as dead is dead there too. CANCELLED once `keep_on` is
  // false. `written`: how many.
  Status WriteGraphs(const std::vector<StateCut::Part>& collections, const std::function<bool()>& keep_on,
                     size_t* written);

  // A segment of the last manifest once more, closed, its rows and its graph mapped from their files. An error if any
  // of those is not as it was written: the segment in memory is then the one to keep.
  Result<std::shared_ptr<Segment>> MapSegment(const Collection& collection, const storage::SegmentEntry& entry) const;

  // A file of the part is damaged: the next Write writes it anew from the rows in memory.
  void MarkPart(const SegmentKey& segment, size_t part) { marked_parts_.insert({segment, part}); }
  // A graph that the manifest names was opened, of so many rows; or it is of no use and not named again.
  void NoteGraph(const SegmentKey& segment, uint32_t rows);
  void ForgetGraph(const SegmentKey& segment);

  // Removes files that neither the manifest nor a pinned one names: an interrupted checkpoint's, replaced ones, those
  // of dropped collections. Only once manifest and log are known to fit together: until then an unnamed file may be all
  // there is.
  Status RemoveUnnamedFiles();

  // The last checkpoint, whose files stay until it is let go and another checkpoint is written, whatever replaces them.
  std::shared_ptr<const storage::Manifest> Pin();
  // What the manifest says of a collection; null if it does not know it.
  const storage::CollectionEntry* FindCollection(ShardId shard) const;
  // Of the graph that the manifest names for a segment; 0: none.
  uint32_t RowsOfNamedGraph(const SegmentKey& segment) const {
    const auto found = graph_rows_.find(segment);
    return found == graph_rows_.end() ? 0 : found->second;
  }

  const storage::Manifest& manifest() const { return manifest_; }
  const DataFolder& folder() const { return folder_; }
  Lsn last() const { return manifest_.checkpoint; }

 private:
  // Where the files of a checkpoint go, and which generation they are.
  struct Target {
    DataFolder folder;
    uint64_t generation = 0;
  };
  Result<storage::CollectionEntry> WriteCollection(const StateCut::Part& part, const storage::CollectionEntry* before,
                                                   const Target& target);
  Result<storage::SegmentEntry> WriteSegment(const StateCut::Part& part, const SegmentView& segment,
                                             const storage::SegmentEntry* before, const Target& target);
  Status LoadCollection(const storage::CollectionEntry& entry, State* state, std::vector<std::string>* warnings);
  Result<std::shared_ptr<Segment>> LoadSegment(const Collection& collection, const storage::SegmentEntry& entry,
                                               bool is_last, std::vector<std::string>* warnings);
  Status RemoveLeftover(const std::string& file);
  static const storage::SegmentEntry* FindSegment(const storage::CollectionEntry* collection, uint64_t number);

  const DataFolder folder_;
  storage::Manifest manifest_;  // the last one written or loaded
  struct WrittenGraph {
    storage::NamedFile file;
    uint32_t rows = 0;
  };
  std::map<SegmentKey, WrittenGraph> graphs_;  // that no manifest names yet
  std::map<SegmentKey, uint32_t> graph_rows_;  // of those that one does
  std::set<std::pair<SegmentKey, size_t>> marked_parts_;
  std::vector<std::weak_ptr<const storage::Manifest>> pinned_;
};

}  // namespace longbow::engine
