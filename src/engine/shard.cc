#include "engine/shard.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

#include "base/check.h"
#include "model/expiry.h"

namespace longbow::engine {

Shard::Shard(ShardId id, CollectionSchema schema, SegmentOptions options)
    : id_(id), options_(options), schema_(std::make_shared<const CollectionSchema>(std::move(schema))) {
  Publish(0);
}

Status Shard::ApplyRows(const std::shared_ptr<arrow::RecordBatch>& rows, LogIndex index, int64_t put_time_ns) {
  LB_ASSIGN(CollectionSchema merged, schema_->Merge(rows->schema()));
  if (!merged.columns->Equals(*schema_->columns, false)) {
    schema_ = std::make_shared<const CollectionSchema>(std::move(merged));
  }
  LB_ASSIGN(std::shared_ptr<arrow::RecordBatch> conforming, ConformTo(*schema_, *rows));
  LB_ASSIGN(conforming, FillExpiry(*schema_, conforming, put_time_ns));
  const uint64_t first_ordinal = end_ordinal_;
  LB_TRY(Append(conforming, TakeStaged(*rows)));
  std::unique_lock lock(ids_mu_);
  SetIds(first_ordinal, *conforming, index.value);
  Publish(index.value);
  return {};
}

void Shard::StageRows(std::shared_ptr<arrow::RecordBatch> rows) {
  // Never a place that is taken: of what was staged some may have been refused since, and other rows come.
  uint64_t first = end_ordinal_;
  if (!staged_.empty()) {
    first = std::max(first, staged_.back().first_ordinal + static_cast<uint64_t>(staged_.back().rows->num_rows()));
  }
  staged_.push_back({std::move(rows), first, nullptr});
  const arrow::RecordBatch& batch = *staged_.back().rows;
  if (segments_.empty() || !segments_.back()->searchable() || segments_.back()->room() == 0 ||
      first + static_cast<uint64_t>(batch.num_rows()) >
          segments_.back()->first_ordinal() + segments_.back()->rows_max()) {
    return;
  }
  // Whether they fit the schema is ApplyRows' to say.
  const Result<std::shared_ptr<arrow::RecordBatch>> conforming = ConformTo(*schema_, batch);
  const std::shared_ptr<Segment>& segment = segments_.back();
  if (conforming.ok() &&
      segment->PlaceVectors(*schema_, **conforming, static_cast<uint32_t>(first - segment->first_ordinal())).ok()) {
    staged_.back().segment = segment;
  }
}

// What was staged before these rows and not applied never will be: the log refused it.
std::optional<Shard::Staged> Shard::TakeStaged(const arrow::RecordBatch& rows) {
  const auto found =
      std::find_if(staged_.begin(), staged_.end(), [&](const Staged& s) { return s.rows.get() == &rows; });
  if (found == staged_.end()) {
    return std::nullopt;
  }
  Staged staged = std::move(*found);
  staged_.erase(staged_.begin(), found + 1);
  return staged;
}

void Shard::ApplyDelete(const std::vector<RowKey>& keys, LogIndex index) {
  std::unique_lock lock(ids_mu_);
  for (const RowKey& key : keys) {
    if (const std::optional<uint64_t> ordinal = FindLocked(key)) {
      MarkDeleted(*ordinal, index.value);
    }
  }
  Publish(index.value);
}

void Shard::ApplyExpire(int64_t time_ns, LogIndex index) {
  for (const auto& segment : segments_) {
    const uint32_t expired = segment->Expire(time_ns, index.value);
    live_rows_ -= expired;
    expired_rows_ += expired;
  }
  Publish(index.value);
}

Status Shard::ApplySchema(const std::shared_ptr<arrow::Schema>& columns, LogIndex index) {
  LB_ASSIGN(CollectionSchema schema, CollectionSchema::FromArrow(columns));
  for (const auto& segment : segments_) {
    LB_TRY(segment->ReadExpiry(schema));
  }
  schema_ = std::make_shared<const CollectionSchema>(std::move(schema));
  Publish(index.value);
  return {};
}

void Shard::LoadSegment(std::shared_ptr<Segment> segment) {
  std::unique_lock lock(ids_mu_);
  live_rows_ += segment->rows();
  for (const Chunk& chunk : segment->chunks()) {
    size_bytes_ += static_cast<uint64_t>(arrow::util::ReferencedBufferSize(*chunk.rows).ValueOr(0));
  }
  segments_.push_back(std::move(segment));
  LoadIds(*segments_.back());
}

// Which rows are dead is told later; of rows with the same id the last one counts, dead or not.
void Shard::LoadIds(const Segment& segment) {
  if (schema_->id_column < 0) {
    return;
  }
  ids_.Reserve(segment.rows());
  for (const Chunk& chunk : segment.chunks()) {
    const arrow::Array& ids = *chunk.rows->column(schema_->id_column);
    for (uint32_t row = 0; row < ids.length(); ++row) {
      (void)ids_.Set(KeyAt(ids, row), segment.OrdinalOf(chunk.first_row + row));
    }
  }
}

void Shard::FinishLoad(const std::vector<uint64_t>& deleted_bits, const LoadedState& state) {
  std::unique_lock lock(ids_mu_);
  end_ordinal_ = state.end_ordinal;
  next_segment_ = state.next_segment;
  uint64_t first_bit = 0;
  for (const auto& segment : segments_) {
    for (uint32_t row = 0; row < segment->rows() && (first_bit + row) / 64 < deleted_bits.size(); ++row) {
      if ((deleted_bits[(first_bit + row) / 64] >> ((first_bit + row) % 64) & 1) != 0) {
        segment->MarkDeleted(row, 1);  // below the version of every later entry: dead for every reader
        --live_rows_;
      }
    }
    first_bit += segment->rows();
  }
  Publish(state.last_index.value);
}

Status Shard::ReplaceSegments(const std::vector<std::shared_ptr<Segment>>& old, std::shared_ptr<Segment> merged) {
  const auto begin = std::find(segments_.begin(), segments_.end(), old.front());
  LB_CHECK(static_cast<size_t>(segments_.end() - begin) >= old.size() &&
           std::equal(old.begin(), old.end(), begin));  // one compaction at a time, and nobody else takes any away
  if (merged != nullptr) {
    LB_TRY(merged->ReadExpiry(*schema_));  // which may be younger than the compaction
  }
  std::unique_lock lock(ids_mu_);
  uint64_t rows_before = 0;
  for (const auto& segment : segments_) {
    rows_before += segment->rows();
  }
  uint64_t dropped = 0;
  for (const auto& segment : old) {
    dropped += TakeOverLocked(*segment, merged.get());
  }
  size_bytes_ -= static_cast<uint64_t>(static_cast<double>(size_bytes_) * static_cast<double>(dropped) /
                                       static_cast<double>(std::max<uint64_t>(1, rows_before)));
  const auto at = segments_.erase(begin, begin + static_cast<std::ptrdiff_t>(old.size()));
  if (merged != nullptr) {
    segments_.insert(at, std::move(merged));
  }
  Publish(Pin()->version);
  return {};
}

// Which rows of `old` died, and ids of rows that `merged` has not: such an id was never put for whoever asks now, or
// else another row has it. Returns how many were left out.
uint64_t Shard::TakeOverLocked(const Segment& old, Segment* merged) {
  std::optional<RowOrdinalsCursor> kept;
  if (merged != nullptr && merged->ordinals() != nullptr) {
    kept.emplace(*merged->ordinals());
  }
  uint64_t dropped = 0;
  for (const Chunk& chunk : old.chunks()) {
    for (uint32_t row = chunk.first_row; row < chunk.end_row(); ++row) {
      const uint64_t ordinal = old.OrdinalOf(row);
      std::optional<uint32_t> place;
      if (merged != nullptr) {
        place = kept ? kept->Find(ordinal - merged->first_ordinal()) : merged->RowOf(ordinal);
      }
      if (place) {
        // Memory that nobody writes to costs none.
        if (const uint64_t died = old.deleted_at()[row].load(std::memory_order_relaxed); died != 0) {
          merged->MarkDeleted(*place, died);
        }
        continue;
      }
      ++dropped;
      if (schema_->id_column >= 0) {
        ids_.Forget(KeyAt(*chunk.rows->column(schema_->id_column), row - chunk.first_row), ordinal);
      }
    }
  }
  return dropped;
}

void Shard::EndLastSegment(uint64_t worth_bytes) {
  EndIfWorth(worth_bytes);
  Publish(Pin()->version);
}

void Shard::EndIfWorth(uint64_t worth_bytes) {
  if (!segments_.empty() && segments_.back()->memory_bytes() >= worth_bytes) {
    segments_.back()->End();
  }
}

// Fills the last segment, then opens the next.
Status Shard::Append(const std::shared_ptr<arrow::RecordBatch>& rows, const std::optional<Staged>& staged) {
  int64_t done = 0;
  while (done < rows->num_rows()) {
    if (options_.budget != nullptr && options_.budget->pressure() != MemoryPressure::kNone) {
      EndIfWorth(options_.budget->EarlyCloseBytes());
    }
    if (!segments_.empty() && schema_->vector_column >= 0 && !segments_.back()->searchable()) {
      segments_.back()->End();  // the first vectors of the collection
    }
    if (segments_.empty() || segments_.back()->room() == 0) {
      SegmentOptions options = options_;
      options.rows_max = SegmentRowsMax(*schema_, options_);
      LB_ASSIGN(auto segment, Segment::Create(*schema_, options, {next_segment_, end_ordinal_}));
      ++next_segment_;
      segments_.push_back(std::move(segment));
    }
    const int64_t count = std::min<int64_t>(segments_.back()->room(), rows->num_rows() - done);
    const bool placed = staged && staged->segment == segments_.back() && staged->first_ordinal == end_ordinal_;
    LB_TRY(segments_.back()->Append(*schema_, count == rows->num_rows() ? rows : rows->Slice(done, count), placed));
    done += count;
    end_ordinal_ += static_cast<uint64_t>(count);
  }
  live_rows_ += static_cast<uint64_t>(rows->num_rows());
  size_bytes_ += static_cast<uint64_t>(arrow::util::ReferencedBufferSize(*rows).ValueOr(0));
  return {};
}

void Shard::SetIds(uint64_t first_ordinal, const arrow::RecordBatch& rows, uint64_t version) {
  if (schema_->id_column < 0) {
    return;
  }
  const arrow::Array& ids = *rows.column(schema_->id_column);
  for (int64_t i = 0; i < rows.num_rows(); ++i) {
    if (const auto replaced = ids_.Set(KeyAt(ids, i), first_ordinal + static_cast<uint64_t>(i))) {
      MarkDeleted(*replaced, version);
    }
  }
}

void Shard::MarkDeleted(uint64_t ordinal, uint64_t version) {
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), ordinal,
                       [](uint64_t value, const auto& segment) { return value < segment->first_ordinal(); });
  Segment& segment = **(after - 1);
  const std::optional<uint32_t> row = segment.RowOf(ordinal);
  if (row && segment.deleted_at()[*row].load(std::memory_order_relaxed) == 0) {
    segment.MarkDeleted(*row, version);
    --live_rows_;
  }
}

std::optional<uint64_t> Shard::FindLocked(const RowKey& key) const {
  if (schema_->id_column >= 0) {
    return ids_.Find(key);
  }
  const auto* ordinal = std::get_if<uint64_t>(&key);
  return ordinal != nullptr && *ordinal < end_ordinal_ ? std::optional(*ordinal) : std::nullopt;
}

void Shard::Publish(uint64_t version) {
  auto view = std::make_shared<View>();
  view->schema = schema_;
  view->version = version;
  view->end_ordinal = end_ordinal_;
  view->next_segment = next_segment_;
  view->live_rows = live_rows_;
  view->expired_rows = expired_rows_;
  view->size_bytes = size_bytes_;
  view->segments.reserve(segments_.size());
  for (const auto& segment : segments_) {
    view->segments.push_back({segment, segment->rows(), segment->chunks(), segment->next_expiry_ns(),
                              segment == segments_.back() && segment->room() > 0});
    view->rows += segment->rows();
    view->next_expiry_ns = std::min(view->next_expiry_ns, segment->next_expiry_ns());
  }
  std::lock_guard lock(view_mu_);
  view_ = std::move(view);
}

std::shared_ptr<const View> Shard::Pin() const {
  std::lock_guard lock(view_mu_);
  return view_;
}

std::shared_ptr<const View> Shard::PinNow() const {
  std::shared_ptr<const View> view = Pin();
  if (view->next_expiry_ns == kNeverNs) {
    return view;
  }
  const int64_t now_ns = options_.clock->WallNowNs();
  if (view->next_expiry_ns > now_ns) {
    return view;
  }
  auto as_of_now = std::make_shared<View>(*view);
  as_of_now->now_ns = now_ns;
  return as_of_now;
}

size_t Shard::ids_size_bytes() const {
  std::shared_lock lock(ids_mu_);
  return ids_.size_bytes();
}

Shard::Located Shard::Locate(const RowKey& key) const {
  Located located;
  {
    std::shared_lock lock(ids_mu_);
    located.view = PinNow();
    if (located.view->schema->id_column >= 0) {
      located.ordinal = ids_.Find(key);
    } else if (const auto* ordinal = std::get_if<uint64_t>(&key);
               ordinal != nullptr && *ordinal < located.view->end_ordinal) {
      located.ordinal = *ordinal;
    }
  }
  located.live = located.ordinal && located.view->IsLive(*located.ordinal);
  return located;
}

Shard::LocatedAll Shard::LocateAll(const std::vector<RowKey>& keys) const {
  LocatedAll all;
  {
    std::shared_lock lock(ids_mu_);
    all.view = PinNow();
    for (const RowKey& key : keys) {
      if (const auto ordinal = ids_.Find(key)) {
        all.ordinals.push_back(*ordinal);
      }
    }
  }
  std::erase_if(all.ordinals, [&](uint64_t ordinal) { return !all.view->IsLive(ordinal); });
  std::sort(all.ordinals.begin(), all.ordinals.end());
  all.ordinals.erase(std::unique(all.ordinals.begin(), all.ordinals.end()), all.ordinals.end());
  return all;
}

}  // namespace longbow::engine
