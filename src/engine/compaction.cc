#include "engine/compaction.h"

#include <arrow/api.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <thread>
#include <vector>

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

// Segments [begin, end) of a view, copied into one.
class Rewriter {
 public:
  Rewriter(const View& view, const CompactionPlan& plan, const Cancellation* cancellation, CompactionMetrics& metrics)
      : view_(view), plan_(plan), cancellation_(cancellation), metrics_(metrics) {}

  Result<std::shared_ptr<Segment>> Run(uint64_t number, const SegmentOptions& options) {
    budget_ = options.budget;
    for (size_t i = plan_.begin; i < plan_.end; ++i) {
      runs_.push_back(LiveRuns(view_, view_.segments[i]));
    }
    const Segment& first = *view_.segments[plan_.begin].segment;
    const Segment& last = *view_.segments[plan_.end - 1].segment;
    const uint64_t end_ordinal = last.OrdinalOf(view_.segments[plan_.end - 1].rows - 1) + 1;
    LB_ASSIGN(merged_, Segment::CreateClosed(*view_.schema, options, {number, first.first_ordinal()},
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
        if (IsCancelled(cancellation_)) {
          return Cancelled("a compaction was cancelled");
        }
        const uint32_t count = run.end - run.begin;
        std::memcpy(out.MutableBytes(next), in.bytes(run.begin), count * in.row_bytes());
        if (in.metric() == Metric::kCosine) {
          std::memcpy(out.MutableInverseNorms(next), in.inverse_norms(run.begin), count * sizeof(double));
        }
        next += count;
        metrics_.rows_done.Add(count);
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
    if (IsCancelled(cancellation_)) {
      return Cancelled("a compaction was cancelled");
    }
    if (taken_.empty()) {
      return {};
    }
    // Copies, so that nothing of the old segments is kept. Types that Arrow cannot join stay as they are.
    if (const auto joined = arrow::ConcatenateRecordBatches(taken_); joined.ok()) {
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
      if (IsCancelled(cancellation_)) {
        return Cancelled("a compaction was cancelled");
      }
      const SegmentGraph::Work work = graph.ClaimWork(rows);
      if (!work.empty()) {
        graph.Link(work, cancellation_);
        metrics_.rows_done.Add(work.end - work.begin);
      } else if (!graph.Maintain(rows, {.threads = 1, .cancellation = cancellation_})) {
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

  const View& view_;
  const CompactionPlan& plan_;
  const Cancellation* const cancellation_;
  CompactionMetrics& metrics_;
  std::vector<std::vector<RowRun>> runs_;
  std::shared_ptr<Segment> merged_;
  const MemoryBudget* budget_ = nullptr;
  Batches taken_;
  int64_t taken_rows_ = 0;
};

}  // namespace

std::optional<CompactionPlan> PlanCompaction(const View& view, const SegmentOptions& segment_options,
                                             const CompactionOptions& options) {
  const auto& segments = view.segments;
  const auto takes_rows = [](const SegmentView& segment) { return segment.rows < segment.segment->rows_max(); };
  std::vector<uint32_t> live(segments.size());
  std::optional<CompactionPlan> worst;
  double worst_share = options.dead_percent / 100.0;
  for (size_t i = 0; i < segments.size(); ++i) {
    live[i] = CountLive(view, segments[i]);
    const double dead_share = 1 - static_cast<double>(live[i]) / std::max(1u, segments[i].rows);
    if (segments[i].rows > 0 && !takes_rows(segments[i]) && dead_share > worst_share) {
      worst_share = dead_share;
      worst = CompactionPlan{i, i + 1, live[i]};
    }
  }
  if (worst) {
    return worst;
  }
  // The longest run of segments of which none is larger than the others together: each row is copied as often as the
  // segments it is in double, and not with every small one that comes.
  std::optional<CompactionPlan> longest;
  for (size_t begin = 0; begin < segments.size(); ++begin) {
    CompactionPlan run{begin, begin, 0};
    uint32_t largest = 0;
    while (run.end < segments.size() && !takes_rows(segments[run.end]) && segments[run.end].rows > 0 &&
           run.live_rows + live[run.end] <= segment_options.rows_max &&
           segments[run.end].segment->OrdinalOf(segments[run.end].rows - 1) - segments[begin].segment->first_ordinal() <
               std::numeric_limits<uint32_t>::max()) {
      largest = std::max(largest, live[run.end]);
      run.live_rows += live[run.end++];
      const size_t count = run.end - run.begin;
      if (count >= options.small_segments && uint64_t{largest} * 2 <= run.live_rows &&
          (!longest || count > longest->end - longest->begin)) {
        longest = run;
      }
    }
  }
  return longest;
}

Result<std::shared_ptr<Segment>> Compact(const View& view, const CompactionPlan& plan, uint64_t number,
                                         const SegmentOptions& options, const Cancellation* cancellation,
                                         CompactionMetrics& metrics) {
  metrics.rows_total.Set(static_cast<double>(plan.live_rows) * 2);
  metrics.rows_done.Set(0);
  if (plan.live_rows == 0) {
    return std::shared_ptr<Segment>();
  }
  return Rewriter(view, plan, cancellation, metrics).Run(number, options);
}

}  // namespace longbow::engine
