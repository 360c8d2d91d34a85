#include "engine/compaction.h"

#include <arrow/api.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

#include "base/cpu_pacer.h"
#include "engine/arrow_status.h"

namespace longbow::engine {
namespace {

constexpr int64_t kChunkRows = 65'536;

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

// Rows [begin, end) of a segment, all alive.
struct RowRun {
  uint32_t begin = 0;
  uint32_t end = 0;
};

std::vector<RowRun> LiveRuns(const View& view, const SegmentView& segment) {
  const index::RowFilter visible = view.FilterOf(segment);
  std::vector<RowRun> runs;
  for (uint32_t row = 0; row < segment.rows; ++row) {
    if (!visible.Contains(row)) {
      continue;
    }
    if (runs.empty() || runs.back().end != row) {
      runs.push_back({row, row});
    }
    ++runs.back().end;
  }
  return runs;
}

uint32_t CountLive(const View& view, const SegmentView& segment) {
  const index::RowFilter visible = view.FilterOf(segment);
  uint32_t live = 0;
  for (uint32_t row = 0; row < segment.rows; ++row) {
    live += visible.Contains(row) ? 1 : 0;
  }
  return live;
}

bool IsWasteful(uint32_t live, uint32_t dead, uint32_t dead_percent) {
  return uint64_t{dead} * 100 > uint64_t{live} * dead_percent;
}

// Segments [begin, end) of a view, copied into one.
class Rewriter {
 public:
  Rewriter(const View& view, const CompactionPlan& plan, uint32_t cpu_percent, CompactionProgress* progress)
      : view_(view), plan_(plan), progress_(*progress), pacer_(cpu_percent) {}

  Result<std::shared_ptr<Segment>> Run(uint64_t number, SegmentOptions options) {
    budget_ = options.budget;
    options.in_scratch = plan_.in_scratch;
    columns_ = plan_.in_scratch ? options.scratch_columns : arrow::default_memory_pool();
    for (size_t i = plan_.begin; i < plan_.end; ++i) {
      runs_.push_back(LiveRuns(view_, view_.segments[i]));
    }
    const Segment& first = *view_.segments[plan_.begin].segment;
    const Segment& last = *view_.segments[plan_.end - 1].segment;
    const uint64_t end_ordinal = last.OrdinalOf(view_.segments[plan_.end - 1].rows - 1) + 1;
    LB_ASSIGN(merged_,
              Segment::CreateClosed(*view_.schema, options, {number, first.first_ordinal(), first.searchable()},
                                    static_cast<uint32_t>(plan_.live_rows), end_ordinal,
                                    Ordinals(first.first_ordinal(), end_ordinal)));
    if (merged_->searchable()) {
      LB_TRY(CopyAllVectors());
    }
    LB_TRY(CopyColumns());
    if (merged_->has_graph() && merged_->graph().IsWantedFor(merged_->rows())) {
      LB_TRY(LinkAll());
    }
    return std::move(merged_);
  }

 private:
  // Null if there are no holes.
  std::shared_ptr<const RowOrdinals> Ordinals(uint64_t first_ordinal, uint64_t end_ordinal) const {
    if (end_ordinal - first_ordinal == plan_.live_rows) {
      return nullptr;
    }
    std::vector<uint32_t> offsets;
    offsets.reserve(plan_.live_rows);
    for (size_t i = 0; i < runs_.size(); ++i) {
      const Segment& segment = *view_.segments[plan_.begin + i].segment;
      for (const RowRun& run : runs_[i]) {
        for (uint32_t row = run.begin; row < run.end; ++row) {
          offsets.push_back(static_cast<uint32_t>(segment.OrdinalOf(row) - first_ordinal));
        }
      }
    }
    return std::make_shared<const RowOrdinals>(RowOrdinals::Of(offsets));
  }

  // Runs as blocks.
  Status CopyAllVectors() {
    index::VectorRows& out = merged_->mutable_vectors();
    uint32_t next = 0;
    for (size_t i = 0; i < runs_.size(); ++i) {
      const index::VectorRows& in = view_.segments[plan_.begin + i].segment->vectors();
      for (const RowRun& run : runs_[i]) {
        const uint32_t count = run.end - run.begin;
        std::memcpy(out.MutableBytes(next), in.bytes(run.begin), count * in.row_bytes());
        if (in.metric() == Metric::kCosine) {
          std::memcpy(out.MutableInverseNorms(next), in.inverse_norms(run.begin), count * sizeof(double));
        }
        next += count;
        progress_.rows_done += count;
        LB_TRY(Rest());
      }
    }
    return {};
  }

  Status CopyColumns() {
    for (size_t i = 0; i < runs_.size(); ++i) {
      const SegmentView& segment = view_.segments[plan_.begin + i];
      const Chunk* chunk = segment.chunks.begin();
      for (const RowRun& run : runs_[i]) {
        for (uint32_t row = run.begin; row < run.end;) {
          while (chunk->end_row() <= row) {
            ++chunk;
          }
          const uint32_t end = std::min(run.end, chunk->end_row());
          LB_TRY(TakeRows(*chunk, row, end));
          row = end;
        }
      }
    }
    return Flush();
  }

  Status TakeRows(const Chunk& chunk, uint32_t begin, uint32_t end) {
    LB_ASSIGN(std::shared_ptr<arrow::RecordBatch> rows, ConformTo(*view_.schema, *chunk.rows));
    if (view_.schema->vector_column >= 0) {
      LB_ASSIGN_ARROW(rows, rows->RemoveColumn(view_.schema->vector_column));
    }
    taken_.push_back(rows->Slice(begin - chunk.first_row, end - begin));
    taken_rows_ += end - begin;
    return taken_rows_ >= kChunkRows ? Flush() : Status();
  }

  Status Flush() {
    LB_TRY(Rest());
    if (taken_.empty()) {
      return {};
    }
    // Copies, so that nothing of the old segments is kept. Types that Arrow cannot join stay as they are.
    if (const auto joined = arrow::ConcatenateRecordBatches(taken_, columns_); joined.ok()) {
      taken_ = {*joined};
    }
    for (const auto& rows : taken_) {
      LB_TRY(merged_->AppendPlaced(*view_.schema, *rows, Segment::Placed::kInMemory));
    }
    taken_.clear();
    taken_rows_ = 0;
    return {};
  }

  Status LinkAll() {
    SegmentGraph& graph = merged_->graph();
    const uint32_t rows = merged_->rows();
    const auto deadline = [] { return std::chrono::steady_clock::now() + std::chrono::seconds(10); };
    auto idle_until = deadline();
    while (graph.sealed().rows != rows) {
      LB_TRY(Rest());
      const SegmentGraph::Work work = graph.ClaimWork(rows);
      if (!work.empty()) {
        graph.Link(work, &progress_.cancellation);
        progress_.rows_done += work.end - work.begin;
      } else if (!graph.Maintain(rows, {.threads = 1, .cancellation = &progress_.cancellation})) {
        const bool takes_turns = budget_ != nullptr && budget_->IsShort();  // other graphs are built first
        if (!takes_turns && std::chrono::steady_clock::now() > idle_until) {
          return ResourceExhausted("no memory for the graph of a compacted segment");
        }
        std::this_thread::sleep_for(std::chrono::milliseconds(20));
        continue;
      }
      idle_until = deadline();
    }
    return {};
  }

  // Between pieces of work.
  Status Rest() {
    pacer_.Rest(&progress_.cancellation);
    return IsCancelled(&progress_.cancellation) ? Cancelled("a compaction was cancelled") : Status();
  }

  const View& view_;
  const CompactionPlan& plan_;
  CompactionProgress& progress_;
  CpuPacer pacer_;
  std::vector<std::vector<RowRun>> runs_;
  std::shared_ptr<Segment> merged_;
  const MemoryBudget* budget_ = nullptr;
  arrow::MemoryPool* columns_ = nullptr;
  Batches taken_;
  int64_t taken_rows_ = 0;
};

bool MayBeJoined(const SegmentView& view, const JoinRule& rule) {
  if (view.takes_rows || view.rows == 0) {
    return false;
  }
  return !rule.mapped_only || view.segment->memory_bytes_with_graphs() == 0;
}

}  // namespace

OpenSegment JudgeOpenSegment(const View& view, const CompactionOptions& options) {
  if (view.segments.empty() || !view.segments.back().takes_rows) {
    return OpenSegment::kFine;
  }
  const SegmentView& last = view.segments.back();
  const uint32_t live = CountLive(view, last);
  const uint32_t dead = last.rows - live;
  if (dead < options.open_dead_rows_min || !IsWasteful(live, dead, options.dead_percent)) {
    return OpenSegment::kFine;
  }
  return IsWasteful(live, dead, options.open_dead_percent_at_work) ? OpenSegment::kWasteful
                                                                   : OpenSegment::kWastefulAtRest;
}

std::optional<CompactionPlan> PlanCompaction(const View& view, const CompactionOptions& options,
                                             const JoinRule& joins) {
  const auto& segments = view.segments;
  std::vector<uint32_t> live(segments.size());
  std::optional<CompactionPlan> worst;
  double worst_share = 0;
  for (size_t i = 0; i < segments.size(); ++i) {
    live[i] = CountLive(view, segments[i]);
    const uint32_t dead = segments[i].rows - live[i];
    const double dead_share = static_cast<double>(dead) / std::max(1u, segments[i].rows);
    if (!segments[i].takes_rows && IsWasteful(live[i], dead, options.dead_percent) && dead_share > worst_share) {
      worst_share = dead_share;
      worst = CompactionPlan{i, i + 1, live[i]};
    }
  }
  if (worst) {
    return worst;
  }
  // The longest run of segments of which none is larger than the others together, or so many times larger: each row is
  // copied as often as the segments it is in double, and not with every small one that comes.
  std::optional<CompactionPlan> longest;
  for (size_t begin = 0; begin < segments.size(); ++begin) {
    CompactionPlan run{begin, begin, 0};
    uint32_t largest = 0;
    while (run.end < segments.size() && MayBeJoined(segments[run.end], joins) &&
           segments[run.end].segment->searchable() == segments[begin].segment->searchable() &&
           run.live_rows + live[run.end] <= joins.rows_max &&
           segments[run.end].segment->OrdinalOf(segments[run.end].rows - 1) - segments[begin].segment->first_ordinal() <
               std::numeric_limits<uint32_t>::max()) {
      largest = std::max(largest, live[run.end]);
      run.live_rows += live[run.end++];
      const size_t count = run.end - run.begin;
      if (count >= joins.segments_min && largest <= (run.live_rows - largest) * joins.largest_part &&
          (!longest || count > longest->end - longest->begin)) {
        longest = run;
      }
    }
  }
  return longest;
}

Result<std::shared_ptr<Segment>> Compact(const View& view, const CompactionPlan& plan, uint64_t number,
                                         const SegmentOptions& options, uint32_t cpu_percent,
                                         CompactionProgress* progress) {
  if (plan.live_rows == 0) {
    return std::shared_ptr<Segment>();
  }
  return Rewriter(view, plan, cpu_percent, progress).Run(number, options);
}

}  // namespace longbow::engine
