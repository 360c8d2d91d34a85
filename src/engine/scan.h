// Reads the live rows of a view that pass a predicate, batch by batch.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/page_cursor.h"
#include "engine/row_filter.h"
#include "engine/shard.h"
#include "engine/view.h"
#include "model/query.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::engine {

// In ordinal order. Batches start at about 2 MiB and grow to 64k rows (contract, adaptive chunks), so that the first
// rows come soon and long scans run at full speed. Columns are views of the stored ones where no row between is left
// out. One thread at a time.
class ScanCursor {
 public:
  // INVALID_ARGUMENT if the filter does not fit the columns. A filter that asks only for given ids (= or in) looks them
  // up instead of reading every row.
  static Result<std::unique_ptr<ScanCursor>> Open(const Shard& shard, const ScanRequest& request);

  const std::shared_ptr<arrow::Schema>& schema() const { return view_->schema->columns; }
  // Null at the end. CANCELLED or DEADLINE_EXCEEDED between batches when `cancellation` says so.
  Result<std::shared_ptr<arrow::RecordBatch>> Next(const Cancellation* cancellation);
  // Of a paged scan: where to go on after the batch that Next gave last; empty if no row is left.
  Result<std::string> PageCursor();
  bool paged() const { return paged_; }

 private:
  ScanCursor(std::shared_ptr<const View> view, filter::BoundPredicate predicate, std::optional<uint64_t> limit);
  // Bits of the rows of `chunk` that are wanted, and how many.
  Selection Wanted(const SegmentView& segment, const Chunk& chunk) const;
  Result<std::shared_ptr<arrow::RecordBatch>> Take(const Chunk& chunk, const Selection& wanted) const;
  void EnterSegment(const SegmentView& segment);
  Status LoadNextChunk();
  Status BeginAt(const Shard& shard, const ScanRequest& request);
  void SkipBefore(const SegmentView& segment, const Chunk& chunk, Selection* wanted);

  const std::shared_ptr<const View> view_;
  const filter::BoundPredicate predicate_;
  std::optional<std::vector<uint64_t>> ordinals_;  // instead of the predicate
  uint64_t rows_left_;
  int64_t batch_rows_ = 0;  // of the next batch; 0: not chosen yet
  int64_t batch_rows_max_ = 0;

  Selection selected_;  // of the current segment, where its indexes know; else empty
  size_t segment_ = 0;
  size_t chunk_ = 0;
  std::shared_ptr<arrow::RecordBatch> pending_;  // rest of the current chunk's wanted rows

  // Of a paged scan: rows from the ordinal on.
  bool paged_ = false;
  uint64_t first_ordinal_ = 0;
  PagePosition position_;                   // of the rows that Next gave; its ordinal is the next one
  std::vector<uint64_t> pending_ordinals_;  // of the current chunk's wanted rows
};

}  // namespace longbow::engine
