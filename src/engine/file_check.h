// What a restart took on trust is read behind it: graphs, then vectors, then segment files.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/logging.h"
#include "base/metrics.h"
#include "engine/checkpoint.h"
#include "engine/segment.h"
#include "storage/manifest.h"

namespace longbow::engine {

// A segment as it was loaded, and its files.
struct CheckedSegment {
  std::string collection;
  ShardId shard;
  std::shared_ptr<const CollectionSchema> schema;
  std::shared_ptr<Segment> segment;
  storage::SegmentEntry entry;

  SegmentKey key() const { return {shard, entry.number}; }
};

struct FileCheckMetrics {
  Counter bytes_checked;  // of graphs, vectors and segment files
  Counter damages;        // files or groups of them that were not what was written
  Gauge rows_lost;        // that neither of their files has any more
};

// One thread runs it once. Searches go on meanwhile: exactly, as long as a graph is not in place.
class FileCheck {
 public:
  // What is found is told to the checkpoints, which write the files anew; it locks what they are guarded by.
  struct Reporter {
    std::function<void(const SegmentKey&, uint32_t rows)> graph_opened;
    std::function<void(const SegmentKey&)> graph_lost;
    std::function<void(const SegmentKey&, size_t part)> part_damaged;
  };

  FileCheck(DataFolder folder, Reporter reporter, Logger& logger, FileCheckMetrics metrics)
      : folder_(std::move(folder)), reporter_(std::move(reporter)), logger_(logger), metrics_(std::move(metrics)) {}

  // Whether all rows are what they were when they were written; after Run.
  bool AllIsThere() const { return lost_parts_.empty(); }
  // Until all is read or `keep_on` is false, which is asked every megabyte.
  void Run(const std::vector<CheckedSegment>& segments, const std::function<bool()>& keep_on);

 private:
  void OpenGraphOf(const CheckedSegment& checked);
  void CheckVectors(const CheckedSegment& checked, size_t part, uint32_t first_row,
                    const std::function<bool()>& keep_on);
  Status Heal(const CheckedSegment& checked, const storage::PartEntry& part, uint32_t first_row, uint32_t begin,
              uint32_t end);
  void CheckParquet(const CheckedSegment& checked, size_t part, const std::function<bool()>& keep_on);
  void Warn(const CheckedSegment& checked, const std::string& what, const std::string& reason);

  const DataFolder folder_;
  const Reporter reporter_;
  Logger& logger_;
  FileCheckMetrics metrics_;
  double rows_lost_ = 0;
  std::set<std::pair<SegmentKey, size_t>> lost_parts_;  // are not written again: the next start must see it too
};

}  // namespace longbow::engine
