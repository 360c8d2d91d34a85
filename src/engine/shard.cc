#include "engine/shard.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

namespace longbow::engine {

Shard::Shard(ShardId id, CollectionSchema schema, SegmentOptions options)
    : id_(id), options_(options), schema_(std::make_shared<const CollectionSchema>(std::move(schema))) {
  Publish(0);
}

Status Shard::ApplyRows(const std::shared_ptr<arrow::RecordBatch>& rows, LogIndex index) {
  LB_ASSIGN(CollectionSchema merged, schema_->Merge(rows->schema()));
  if (!merged.columns->Equals(*schema_->columns, false)) {
    schema_ = std::make_shared<const CollectionSchema>(std::move(merged));
  }
  LB_ASSIGN(const std::shared_ptr<arrow::RecordBatch> conforming, ConformTo(*schema_, *rows));
  const uint64_t first_ordinal = rows_;
  LB_TRY(Append(conforming));
  std::unique_lock lock(ids_mu_);
  SetIds(first_ordinal, *conforming, index.value);
  Publish(index.value);
  return {};
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

Status Shard::LoadRows(const std::shared_ptr<arrow::RecordBatch>& rows) {
  LB_ASSIGN(const std::shared_ptr<arrow::RecordBatch> conforming, ConformTo(*schema_, *rows));
  const uint64_t first_ordinal = rows_;
  LB_TRY(Append(conforming));
  std::unique_lock lock(ids_mu_);
  // Version 1 is below every later entry's: rows replaced within the checkpoint are dead for every reader.
  SetIds(first_ordinal, *conforming, 1);
  return {};
}

void Shard::FinishLoad(const std::vector<uint64_t>& deleted_bits, LogIndex last_index) {
  std::unique_lock lock(ids_mu_);
  for (uint64_t ordinal = 0; ordinal < std::min<uint64_t>(rows_, deleted_bits.size() * 64); ++ordinal) {
    if ((deleted_bits[ordinal >> 6] >> (ordinal & 63) & 1) != 0) {
      MarkDeleted(ordinal, 1);
    }
  }
  Publish(last_index.value);
}

// Fills the last segment, then opens the next.
Status Shard::Append(const std::shared_ptr<arrow::RecordBatch>& rows) {
  int64_t done = 0;
  while (done < rows->num_rows()) {
    if (segments_.empty() || segments_.back()->room() == 0) {
      LB_ASSIGN(auto segment, Segment::Create(*schema_, options_, rows_));
      segments_.push_back(std::move(segment));
    }
    const int64_t count = std::min<int64_t>(segments_.back()->room(), rows->num_rows() - done);
    LB_TRY(segments_.back()->Append(*schema_, count == rows->num_rows() ? rows : rows->Slice(done, count)));
    done += count;
    rows_ += static_cast<uint64_t>(count);
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
  const auto row = static_cast<uint32_t>(ordinal - segment.first_ordinal());
  if (segment.deleted_at()[row].load(std::memory_order_relaxed) == 0) {
    segment.MarkDeleted(row, version);
    --live_rows_;
  }
}

std::optional<uint64_t> Shard::FindLocked(const RowKey& key) const {
  if (schema_->id_column >= 0) {
    return ids_.Find(key);
  }
  const auto* ordinal = std::get_if<uint64_t>(&key);
  return ordinal != nullptr && *ordinal < rows_ ? std::optional(*ordinal) : std::nullopt;
}

void Shard::Publish(uint64_t version) {
  auto view = std::make_shared<View>();
  view->schema = schema_;
  view->version = version;
  view->rows = rows_;
  view->live_rows = live_rows_;
  view->size_bytes = size_bytes_;
  view->segments.reserve(segments_.size());
  for (const auto& segment : segments_) {
    view->segments.push_back({segment, segment->rows(), segment->chunks()});
  }
  std::lock_guard lock(view_mu_);
  view_ = std::move(view);
}

std::shared_ptr<const View> Shard::Pin() const {
  std::lock_guard lock(view_mu_);
  return view_;
}

Shard::Located Shard::Locate(const RowKey& key) const {
  Located located;
  {
    std::shared_lock lock(ids_mu_);
    located.view = Pin();
    if (located.view->schema->id_column >= 0) {
      located.ordinal = ids_.Find(key);
    } else if (const auto* ordinal = std::get_if<uint64_t>(&key); ordinal != nullptr && *ordinal < located.view->rows) {
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
    all.view = Pin();
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
