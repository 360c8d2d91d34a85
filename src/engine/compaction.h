// Segments written again without their dead rows, and small ones joined.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/cancellation.h"
#include "base/metrics.h"
#include "base/status.h"
#include "engine/segment.h"
#include "engine/view.h"

namespace longbow::engine {

struct CompactionOptions {
  uint32_t dead_percent = 20;   // of a segment's rows: more, and it is written again
  uint32_t small_segments = 4;  // so many in a row that fit into one are joined
};

struct CompactionMetrics {
  Counter compactions;
  Counter rows_dropped;  // dead ones
  Counter cancelled;
  Gauge rows_total;  // of the compaction that runs: rows to copy and to link
  Gauge rows_done;   // of them; progress and rate come from these two
};

// Consecutive segments of a view that become one.
struct CompactionPlan {
  size_t begin = 0;
  size_t end = 0;
  uint64_t live_rows = 0;
};

// The most urgent one, none if all is well. Segments that still take rows are left alone.
std::optional<CompactionPlan> PlanCompaction(const View& view, const SegmentOptions& segment_options,
                                             const CompactionOptions& options);

// A closed segment with the rows that live in these of a view, their ordinals kept, and with its graph where it gets
// one. Null if none lives. Takes as long as linking all of them; CANCELLED soon after that was asked for.
// RESOURCE_EXHAUSTED if there is no memory for it.
Result<std::shared_ptr<Segment>> Compact(const View& view, const CompactionPlan& plan, uint64_t number,
                                         const SegmentOptions& options, const Cancellation* cancellation,
                                         CompactionMetrics& metrics);

}  // namespace longbow::engine
