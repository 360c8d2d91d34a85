#include "engine/scan.h"

#include <arrow/api.h>
#include <arrow/compute/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "engine/arrow_status.h"

namespace longbow::engine {
namespace {

constexpr int64_t kFirstBatchSizeBytes = 2 << 20;
constexpr int64_t kFirstBatchRowsMin = 4096;
constexpr int64_t kBatchRowsMax = 65536;
constexpr int64_t kBatchSizeMaxBytes = 16 << 20;  // larger messages are slower to send than two of half the size

int64_t AverageRowBytes(const arrow::RecordBatch& rows) {
  const int64_t size_bytes = arrow::util::ReferencedBufferSize(rows).ValueOr(0);
  return std::max<int64_t>(1, size_bytes / std::max<int64_t>(1, rows.num_rows()));
}

}  // namespace

ScanCursor::ScanCursor(std::shared_ptr<const View> view, filter::BoundPredicate predicate,
                       std::optional<uint64_t> limit)
    : view_(std::move(view)),
      predicate_(std::move(predicate)),
      rows_left_(limit.value_or(std::numeric_limits<uint64_t>::max())) {}

Result<std::unique_ptr<ScanCursor>> ScanCursor::Open(const Shard& shard, const ScanRequest& request) {
  std::shared_ptr<const View> view = shard.PinNow();
  LB_ASSIGN(filter::BoundPredicate predicate, filter::BoundPredicate::Bind(request.filter, *view->schema->columns));
  std::optional<std::vector<uint64_t>> ordinals;
  if (const auto keys = AskedIds(*view->schema, request.filter)) {
    Shard::LocatedAll located = shard.LocateAll(*keys);
    view = std::move(located.view);
    ordinals = std::move(located.ordinals);
  }
  std::unique_ptr<ScanCursor> cursor(new ScanCursor(std::move(view), std::move(predicate), request.limit));
  cursor->ordinals_ = std::move(ordinals);
  if (request.cursor) {
    LB_TRY(cursor->BeginAt(shard, request));
  }
  return cursor;
}

Status ScanCursor::BeginAt(const Shard& shard, const ScanRequest& request) {
  paged_ = true;
  position_.kind = PageKind::kScan;
  position_.shard = shard.id();
  position_.schema_version = view_->schema->version;
  position_.request = FingerprintOf(request.filter);
  if (!request.cursor->empty()) {
    LB_ASSIGN(position_, DecodePage(*request.cursor, position_));
    first_ordinal_ = position_.ordinal;
  }
  return {};
}

Result<std::string> ScanCursor::PageCursor() {
  LB_TRY(LoadNextChunk());
  return pending_ == nullptr ? std::string() : EncodePage(position_);
}

// Of a paged scan: takes rows of earlier pages out, and notes which are left.
void ScanCursor::SkipBefore(const SegmentView& segment, const Chunk& chunk, Selection* wanted) {
  pending_ordinals_.clear();
  for (size_t word = 0; word < wanted->bits.size(); ++word) {
    for (uint64_t rest = wanted->bits[word]; rest != 0; rest &= rest - 1) {
      const auto row = static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(rest)));
      const uint64_t ordinal = segment.segment->OrdinalOf(chunk.first_row + row);
      if (ordinal < first_ordinal_) {
        wanted->bits[word] &= ~(rest & -rest);
        --wanted->count;
      } else {
        pending_ordinals_.push_back(ordinal);
      }
    }
  }
}

Selection ScanCursor::Wanted(const SegmentView& segment, const Chunk& chunk) const {
  const auto rows = static_cast<uint32_t>(chunk.rows->num_rows());
  Selection wanted;
  wanted.bits.assign((rows + 63) / 64, 0);
  if (ordinals_) {
    const uint64_t first = segment.segment->OrdinalOf(chunk.first_row);
    const uint64_t last = segment.segment->OrdinalOf(chunk.end_row() - 1);
    for (auto it = std::lower_bound(ordinals_->begin(), ordinals_->end(), first); it != ordinals_->end() && *it <= last;
         ++it) {
      if (const std::optional<uint32_t> row = segment.segment->RowOf(*it)) {
        const uint32_t at = *row - chunk.first_row;
        wanted.bits[at >> 6] |= uint64_t{1} << (at & 63);
        ++wanted.count;
      }
    }
    return wanted;
  }
  if (!selected_.bits.empty()) {
    // Copied out of the segment's bitmap, in which the chunk begins at another bit.
    for (uint32_t row = 0; row < rows; ++row) {
      const uint32_t at = chunk.first_row + row;
      wanted.bits[row >> 6] |= (selected_.bits[at >> 6] >> (at & 63) & 1) << (row & 63);
    }
  } else {
    predicate_.Evaluate(*chunk.rows, wanted.bits.data(), 0);
    const index::RowFilter visible = view_->FilterOf(segment);
    for (uint32_t row = 0; row < rows; ++row) {
      if (!visible.Contains(chunk.first_row + row)) {
        wanted.bits[row >> 6] &= ~(uint64_t{1} << (row & 63));
      }
    }
  }
  for (const uint64_t word : wanted.bits) {
    wanted.count += static_cast<uint64_t>(std::popcount(word));
  }
  return wanted;
}

Result<std::shared_ptr<arrow::RecordBatch>> ScanCursor::Take(const Chunk& chunk, const Selection& wanted) const {
  LB_ASSIGN(const std::shared_ptr<arrow::RecordBatch> rows, ConformTo(*view_->schema, *chunk.rows));
  if (wanted.count == static_cast<uint64_t>(rows->num_rows())) {
    return rows;
  }
  const auto bytes = arrow::Buffer::Wrap(wanted.bits.data(), wanted.bits.size());
  const auto mask = std::make_shared<arrow::BooleanArray>(rows->num_rows(), bytes);
  const auto filtered = arrow::compute::Filter(rows, mask);
  if (filtered.ok()) {
    return filtered->record_batch();
  }
  // A type that the filter kernel does not know: cut out the runs of wanted rows and join them.
  std::vector<std::shared_ptr<arrow::RecordBatch>> runs;
  const auto is_wanted = [&](int64_t row) { return (wanted.bits[row >> 6] >> (row & 63) & 1) != 0; };
  for (int64_t row = 0; row < rows->num_rows();) {
    const int64_t begin = row;
    const bool run = is_wanted(row);
    while (row < rows->num_rows() && is_wanted(row) == run) {
      ++row;
    }
    if (run) {
      runs.push_back(rows->Slice(begin, row - begin));
    }
  }
  LB_ASSIGN_ARROW(std::shared_ptr<arrow::RecordBatch> joined, arrow::ConcatenateRecordBatches(runs));
  return joined;
}

// With an index the whole segment is as cheap as one chunk; without, only as many chunks are read as rows are wanted.
void ScanCursor::EnterSegment(const SegmentView& segment) {
  selected_ = {};
  if (!ordinals_ && !predicate_.MatchesAll() && SegmentFilter(segment, predicate_).indexed()) {
    selected_ = SelectLive(*view_, segment, predicate_);
  }
}

// Leaves pending_ null only at the end of the view.
Status ScanCursor::LoadNextChunk() {
  while (pending_ == nullptr && segment_ < view_->segments.size()) {
    const SegmentView& segment = view_->segments[segment_];
    const bool is_of_earlier_pages =
        first_ordinal_ > 0 && segment.rows > 0 && segment.segment->OrdinalOf(segment.rows - 1) < first_ordinal_;
    if (chunk_ == segment.chunks.count || is_of_earlier_pages) {
      ++segment_;
      chunk_ = 0;
      continue;
    }
    if (chunk_ == 0) {
      EnterSegment(segment);
    }
    const Chunk& chunk = segment.chunks.begin()[chunk_++];
    if (first_ordinal_ > 0 && segment.segment->OrdinalOf(chunk.end_row() - 1) < first_ordinal_) {
      continue;
    }
    Selection wanted = Wanted(segment, chunk);
    if (paged_) {
      SkipBefore(segment, chunk, &wanted);
    }
    if (wanted.count > 0) {
      LB_ASSIGN(pending_, Take(chunk, wanted));
    }
  }
  return {};
}

Result<std::shared_ptr<arrow::RecordBatch>> ScanCursor::Next(const Cancellation* cancellation) {
  std::vector<std::shared_ptr<arrow::RecordBatch>> parts;
  int64_t rows = 0;
  while (rows_left_ > 0 && (batch_rows_ == 0 || rows < batch_rows_)) {
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    LB_TRY(LoadNextChunk());
    if (pending_ == nullptr) {
      break;
    }
    if (batch_rows_ == 0) {
      const int64_t row_bytes = AverageRowBytes(*pending_);
      batch_rows_max_ = std::clamp<int64_t>(kBatchSizeMaxBytes / row_bytes, 1, kBatchRowsMax);
      batch_rows_ = std::min(batch_rows_max_, std::max(kFirstBatchSizeBytes / row_bytes, kFirstBatchRowsMin));
    }
    const int64_t room =
        std::min<int64_t>(batch_rows_ - rows, static_cast<int64_t>(std::min<uint64_t>(rows_left_, kBatchRowsMax)));
    // A large chunk is cut, small ones are joined; but joining copies, so a batch that is half full goes as it is.
    if (rows > 0 && (pending_->num_rows() > room || rows * 2 >= batch_rows_)) {
      break;
    }
    const int64_t count = std::min(room, pending_->num_rows());
    parts.push_back(count == pending_->num_rows() ? pending_ : pending_->Slice(0, count));
    if (paged_) {
      const size_t next = pending_ordinals_.size() - static_cast<size_t>(pending_->num_rows() - count);
      position_.ordinal = pending_ordinals_[next - 1] + 1;
    }
    pending_ = count == pending_->num_rows() ? nullptr : pending_->Slice(count);
    rows += count;
    rows_left_ -= static_cast<uint64_t>(count);
  }
  if (parts.empty()) {
    return std::shared_ptr<arrow::RecordBatch>();
  }
  batch_rows_ = std::min(batch_rows_ * 2, batch_rows_max_);
  if (parts.size() == 1) {
    return parts.front();
  }
  LB_ASSIGN_ARROW(std::shared_ptr<arrow::RecordBatch> joined, arrow::ConcatenateRecordBatches(parts));
  return joined;
}

}  // namespace longbow::engine
