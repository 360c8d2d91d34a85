// Segments written again without their dead rows, and small ones joined.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/segment.h"
#include "engine/view.h"

namespace longbow::engine {

struct CompactionOptions {
  uint32_t dead_percent = 20;  // dead rows for a hundred living ones: more, and a segment is written again
  // A segment that still takes rows is ended, and written again, if it has so many dead ones: those that share, while
  // nothing is written to the collection, else this.
  uint32_t open_dead_rows_min = 1024;
  uint32_t open_dead_percent_at_work = 100;
  uint32_t cpu_percent = 100;  // of one core at most
};

// What a compaction in scratch files takes of memory, about: for each row marks of rows seen, links counted, ordinals;
// and the sample of rows that entry points are chosen from.
inline constexpr uint64_t kScratchCompactionRowBytes = 48;
inline constexpr uint64_t ScratchCompactionBytes(uint64_t dimension) { return (512 << 10) + dimension * (8 << 10); }

// Which runs of segments are joined.
struct JoinRule {
  uint64_t rows_max = 0;      // together
  uint32_t segments_min = 4;  // so many in a row
  uint32_t largest_part = 1;  // the largest has at most so many times the rows of the others together
  // Only those that hold no memory: one that is being joined cannot be moved to its files.
  bool mapped_only = false;
};

// Of a compaction that is being made; read by any thread.
struct CompactionProgress {
  std::atomic<uint64_t> rows_done{0};  // copied and linked: twice the rows in the end
  Cancellation cancellation;
};

// Consecutive segments of a view that become one.
struct CompactionPlan {
  size_t begin = 0;
  size_t end = 0;
  uint64_t live_rows = 0;
  bool in_scratch = false;    // there is no memory for it
  uint64_t memory_bytes = 0;  // that it takes, about, where memory is short
};

// Whether the last segment takes rows and should not, since so many of them are dead.
enum class OpenSegment { kFine, kWasteful, kWastefulAtRest };
OpenSegment JudgeOpenSegment(const View& view, const CompactionOptions& options);

// The most urgent one, none if all is well. Segments that still take rows are left alone.
std::optional<CompactionPlan> PlanCompaction(const View& view, const CompactionOptions& options, const JoinRule& joins);

// A closed segment, in memory or scratch files, with the rows that live in these of a view, their ordinals kept, and
// with its graph where it gets one. Null if none lives. Takes as long as linking all of them; CANCELLED soon after that
// was asked for. RESOURCE_EXHAUSTED if there is no memory for it.
Result<std::shared_ptr<Segment>> Compact(const View& view, const CompactionPlan& plan, uint64_t number,
                                         const SegmentOptions& options, uint32_t cpu_percent,
                                         CompactionProgress* progress);

}  // namespace longbow::engine
