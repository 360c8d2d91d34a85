// The state up to one LSN as files: Parquet segments, bitmaps of dead rows, and the manifest that names them.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/status.h"
#include "engine/state.h"
#include "engine/view.h"
#include "storage/manifest.h"

namespace longbow::engine {

// A consistent cut, taken between two entries; the views keep it as it was.
struct StateCut {
  Lsn applied;
  ShardId next_shard;
  std::vector<std::string> namespaces;
  struct Part {
    std::shared_ptr<Collection> collection;
    std::shared_ptr<const View> view;
  };
  std::vector<Part> collections;
};
StateCut CutOf(const State& state);

// Writes and loads checkpoints of one data folder. One thread at a time.
class Checkpoints {
 public:
  Checkpoints(FileSystem& fs, std::string data_dir) : fs_(fs), data_dir_(std::move(data_dir)) {}

  // Start-up: brings `state` to the last checkpoint (nothing if there is none). Changes no file.
  // Errors as ReadManifest and ReadSegmentFile.
  Status Load(State* state);

  // Writes the rows that came since the last checkpoint and swaps the manifest; on OK everything up to cut.applied is
  // durable outside the log. After an error the last checkpoint stands.
  Status Write(const StateCut& cut);

  // Removes files that the manifest does not name: an interrupted checkpoint's, replaced ones, those of dropped
  // collections. Only once manifest and log are known to fit together: until then an unnamed file may be all there is.
  Status RemoveUnnamedFiles();

  Lsn last() const { return manifest_.checkpoint; }

 private:
  Result<storage::CollectionEntry> WriteCollection(const StateCut::Part& part, Lsn lsn,
                                                   const storage::CollectionEntry* before);
  Status LoadCollection(const storage::CollectionEntry& entry, State* state);
  std::string PathOf(const std::string& file) const { return data_dir_ + "/" + file; }

  FileSystem& fs_;
  const std::string data_dir_;
  storage::Manifest manifest_;  // the last one written or loaded
};

}  // namespace longbow::engine
