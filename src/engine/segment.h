// Up to segment_rows_max consecutive rows of a shard: columns, vectors, graph, and which rows died when.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/numa.h"
#include "base/status.h"
#include "engine/chunk_list.h"
#include "engine/expiry_times.h"
#include "engine/memory_budget.h"
#include "engine/row_ordinals.h"
#include "engine/segment_filters.h"
#include "engine/segment_graph.h"
#include "engine/segment_text.h"
#include "engine/zeroed_array.h"
#include "index/vector_rows.h"
#include "model/schema.h"

namespace arrow {
class MemoryPool;
}

namespace longbow::engine {

struct SegmentOptions {
  uint32_t rows_max;
  SegmentGraphOptions graph;
  const kernels::Kernels* kernels = nullptr;
  filter::AdaptiveFilterIndex::Options filters = {};
  Clock* clock = &RealClock();     // by which rows expire
  MemoryBudget* budget = nullptr;  // null: no bound
  NumaPlacer* numa = nullptr;      // null: vectors and graphs are anywhere in memory, index threads on any CPU
  // A segment that there is no memory for is made in scratch files, graph and columns too, until it can be mapped from
  // its own ones. Where they are is graph.scratch.
  bool in_scratch = false;
  arrow::MemoryPool* scratch_columns = nullptr;  // outlives all segments
};

// The most rows of a segment of such a collection: rows_max, or fewer where the budget is small.
uint32_t SegmentRowsMax(const CollectionSchema& schema, const SegmentOptions& options);

// Which of its shard's segments one is.
struct SegmentIdentity {
  uint64_t number = 0;  // no other of the shard ever had it
  uint64_t first_ordinal = 0;
  bool has_vectors = true;  // false: its rows were put before the collection got vectors
};

// Rows are appended by the shard's one writer and linked into the graph by the indexer behind it; readers see the rows
// and chunks of the view they pinned. A closed one takes no more rows. Owned by the shard's views.
class Segment {
 public:
  // RESOURCE_EXHAUSTED if the address space for its arrays cannot be reserved.
  static Result<std::shared_ptr<Segment>> Create(const CollectionSchema& schema, const SegmentOptions& options,
                                                 SegmentIdentity identity);
  // One that will get exactly `rows` rows, with ordinals below `end_ordinal`; `ordinals` says which, null: all.
  static Result<std::shared_ptr<Segment>> CreateClosed(const CollectionSchema& schema, const SegmentOptions& options,
                                                       SegmentIdentity identity, uint32_t rows, uint64_t end_ordinal,
                                                       std::shared_ptr<const RowOrdinals> ordinals);

  // ---- writer ----
  uint32_t room() const { return is_ended_ ? 0 : rows_max_ - rows_; }
  // Takes no more rows from now on, so that it can go to files.
  void End() {
    is_ended_ = true;
    if (has_graph()) {
      graph_->EndAt(rows_);
    }
  }
  // Copies the vectors of rows that are going to be rows [first, first + count) to their place, which is not taken yet
  // and within room().
  Status PlaceVectors(const CollectionSchema& schema, const arrow::RecordBatch& rows, uint32_t first);
  // Appends rows of exactly the schema's columns; the caller keeps them within room(). `vectors_are_placed`: by
  // PlaceVectors, and nothing was put there since. Not visible before a view names them.
  Status Append(const CollectionSchema& schema, const std::shared_ptr<arrow::RecordBatch>& rows,
                bool vectors_are_placed = false);
  // Where rows are: in memory, or mapped from files, vectors and columns, so that the kernel can drop them.
  enum class Placed { kInMemory, kMapped };
  // Appends rows whose vectors stand in their place already (mutable_vectors); `columns`: the other ones, by name, of
  // the schema's types or narrower ones.
  Status AppendPlaced(const CollectionSchema& schema, const arrow::RecordBatch& columns, Placed placed);
  index::VectorRows& mutable_vectors() { return *vectors_; }
  uint32_t rows() const { return rows_; }
  uint64_t end_ordinal() const { return is_closed_ ? end_ordinal_ : first_ordinal_ + rows_; }
  Chunks chunks() const { return {chunks_, chunk_count_}; }
  // The times of all rows there are, if the collection has an expiry column by now and had none before.
  // RESOURCE_EXHAUSTED if there is no memory for them.
  Status ReadExpiry(const CollectionSchema& schema);
  int64_t next_expiry_ns() const { return expiry_ == nullptr ? kNeverNs : expiry_->next_ns(); }
  // Deletes the rows that end by `time_ns`; how many.
  uint32_t Expire(int64_t time_ns, uint64_t version);
  void MarkDeleted(uint32_t row, uint64_t version) { deleted_at_[row].store(version, std::memory_order_relaxed); }

  // ---- readers ----
  uint64_t number() const { return number_; }
  uint32_t rows_max() const { return rows_max_; }
  // Takes no more rows than it was made for.
  bool is_closed() const { return is_closed_; }
  uint64_t first_ordinal() const { return first_ordinal_; }
  uint64_t OrdinalOf(uint32_t row) const { return first_ordinal_ + (ordinals_ == nullptr ? row : ordinals_->at(row)); }
  // The row with an ordinal that is not below the first; none if a compaction took it, or it belongs to another
  // segment.
  std::optional<uint32_t> RowOf(uint64_t ordinal) const;
  const RowOrdinals* ordinals() const { return ordinals_.get(); }
  const std::atomic<uint64_t>* deleted_at() const { return deleted_at_.data(); }
  // Null if no row ends; else only of use with a view that says that some may have.
  const std::atomic<int64_t>* expires_at() const { return expiry_ == nullptr ? nullptr : expiry_->data(); }
  bool searchable() const { return vectors_ != nullptr; }
  const index::VectorRows& vectors() const { return *vectors_; }
  // Where its vectors and graphs are, of NumaPlacer's places.
  uint32_t numa_place() const { return vectors_ == nullptr ? 0 : vectors_->place().node.place; }
  std::shared_ptr<const index::VectorRows> shared_vectors() const { return vectors_; }
  // Not for metrics that compare bits: popcounts over all rows cost less than what a graph would need.
  bool has_graph() const { return graph_ != nullptr; }
  // Only if has_graph(). Searches and index threads come here.
  SegmentGraph& graph() { return *graph_; }
  const SegmentGraph& graph() const { return *graph_; }
  SegmentFilters& filters() { return filters_; }
  const SegmentFilters& filters() const { return filters_; }
  SegmentText& text() { return text_; }
  // Whether what is derived is being given back rather than made.
  bool ShedsMemory() const { return budget_ != nullptr && budget_->pressure() != MemoryPressure::kNone; }
  // What is not from its files yet is in files without a name, which cost disk space.
  bool is_in_scratch() const { return is_in_scratch_; }
  // Of rows and columns, that the kernel cannot drop.
  uint64_t memory_bytes() const { return memory_bytes_.load(std::memory_order_relaxed); }
  // The same with its graphs.
  uint64_t memory_bytes_with_graphs() const {
    const SegmentGraph::Memory graph = graph_ == nullptr ? SegmentGraph::Memory() : graph_->memory();
    return memory_bytes() + graph.active + graph.sealed;
  }
  // Every row below is linked into the graph; those from here on are the tail that searches scan exactly.
  uint32_t indexed_rows() const { return graph_ == nullptr ? 0 : graph_->indexed_rows(); }

 private:
  Segment(SegmentIdentity identity, const SegmentOptions& options)
      : number_(identity.number),
        first_ordinal_(identity.first_ordinal),
        rows_max_(options.rows_max),
        budget_(options.budget),
        is_in_scratch_(options.in_scratch),
        deleted_at_(options.rows_max),
        filters_(options.filters) {}
  Status AppendChunk(const CollectionSchema& schema, Chunk chunk);
  Status MergeSmallChunks(const CollectionSchema& schema);

  // Constant after Create.
  const uint64_t number_;
  const uint64_t first_ordinal_;
  const uint32_t rows_max_;
  const MemoryBudget* const budget_;
  const bool is_in_scratch_;
  bool is_closed_ = false;
  uint64_t end_ordinal_ = 0;                     // of a closed one
  std::shared_ptr<const RowOrdinals> ordinals_;  // null: no holes
  std::shared_ptr<index::VectorRows> vectors_;   // null: the rows have no vectors

  ZeroedArray<uint64_t> deleted_at_;
  std::unique_ptr<ExpiryTimes> expiry_;  // null while the collection has no expiry column
  SegmentFilters filters_;               // has a lock of its own
  SegmentText text_;                     // likewise
  std::unique_ptr<SegmentGraph> graph_;  // likewise; null without vectors, and for bit metrics

  std::atomic<uint64_t> memory_bytes_{0};  // the writer's

  // Writer only.
  uint32_t rows_ = 0;
  bool is_ended_ = false;
  std::shared_ptr<ChunkList> chunks_;
  size_t chunk_count_ = 0;
  size_t small_chunks_at_end_ = 0;
};

}  // namespace longbow::engine
