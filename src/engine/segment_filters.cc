#include "engine/segment_filters.h"

#include <vector>

namespace longbow::engine {
namespace {

// Chunks smaller than this may be joined while they are among the last ones (segment.cc).
constexpr int64_t kJoinedRowsMax = 1024;
constexpr size_t kJoinedChunksMax = 256;
// All projections of a segment take at most this part of its vectors.
constexpr size_t kProjectionsShareOfRaw = 4;
constexpr uint32_t kProjectedDimensionMin = 64;  // below, rows are hardly longer than their codes are rough

bool CanProject(const index::VectorRows& vectors) {
  return !IsBitMetric(vectors.metric()) && vectors.dimension() >= kProjectedDimensionMin;
}

}  // namespace

uint32_t StableRows(const Chunks& chunks) {
  size_t small = 0;
  const Chunk* end = chunks.end();
  while (end != chunks.begin() && small < kJoinedChunksMax && (end - 1)->rows->num_rows() < kJoinedRowsMax) {
    --end;
    ++small;
  }
  return end == chunks.begin() ? 0 : (end - 1)->end_row();
}

std::shared_ptr<const index::Projection> SegmentFilters::ProjectionOf(const filter::ColumnIndex& column) const {
  std::lock_guard lock(mu_);
  for (const auto& [field, projected] : projections_) {
    if (projected.column.get() == &column) {
      return projected.projection;
    }
  }
  return nullptr;
}

void SegmentFilters::NoteProjectionWanted(const std::string& field) {
  std::lock_guard lock(mu_);
  ++projections_wanted_[field];
}

size_t SegmentFilters::size_bytes() const {
  size_t size_bytes = index_.current()->size_bytes() + selections_.size_bytes();
  std::lock_guard lock(mu_);
  for (const auto& [field, projected] : projections_) {
    size_bytes += projected.projection->size_bytes();
  }
  return size_bytes;
}

void SegmentFilters::Clear() {
  index_.Clear();
  selections_.Clear();
  std::lock_guard lock(mu_);
  projections_.clear();
  projections_wanted_.clear();
}

bool SegmentFilters::BuildSome(const CollectionSchema& schema, const Chunks& chunks, const index::VectorRows* vectors,
                               const Cancellation* cancellation) {
  return BuildColumn(schema, chunks) ||
         (vectors != nullptr && CanProject(*vectors) && BuildProjection(*vectors, cancellation));
}

bool SegmentFilters::BuildColumn(const CollectionSchema& schema, const Chunks& chunks) {
  const uint32_t rows = StableRows(chunks);
  if (!index_.HasWork(*schema.columns, rows)) {
    return false;
  }
  std::vector<filter::PlacedRows> batches;
  for (const Chunk& chunk : chunks) {
    if (chunk.end_row() <= rows) {
      batches.push_back({chunk.first_row, chunk.rows});
    }
  }
  return index_.Build(*schema.columns, batches, rows);
}

// One projection that is missing or in the order of an older index, the most wanted first.
bool SegmentFilters::BuildProjection(const index::VectorRows& vectors, const Cancellation* cancellation) {
  const std::shared_ptr<const filter::FilterIndex> index = index_.current();
  std::string field;
  std::shared_ptr<const filter::ColumnIndex> column;
  std::shared_ptr<const index::CodeSpace> space;
  {
    std::lock_guard lock(mu_);
    uint64_t most_wanted = 0;
    size_t others_bytes = 0;
    for (const auto& [name, wanted] : projections_wanted_) {
      const auto found = index->Find(name);
      const auto built = projections_.find(name);
      if (found != nullptr && wanted > most_wanted && (built == projections_.end() || built->second.column != found)) {
        field = name;
        column = found;
        most_wanted = wanted;
      }
    }
    for (const auto& [name, projected] : projections_) {
      others_bytes += name == field ? 0 : projected.projection->size_bytes();
    }
    if (projecting_ || column == nullptr) {
      return false;
    }
    const size_t raw_bytes = size_t{column->rows()} * vectors.row_bytes();
    const size_t projection_bytes = index::Projection::SizeBytesOf(vectors.dimension(), column->rows());
    if (others_bytes + projection_bytes > raw_bytes / kProjectionsShareOfRaw) {
      projections_wanted_.erase(field);  // no room; asked again it is looked at again
      return false;
    }
    projecting_ = true;
    space = space_;
  }
  if (space == nullptr) {
    space = index::CodeSpace::Learn(vectors, 0, column->rows());
  }
  auto projection = index::Projection::Build(space, vectors, column->RowsInOrder(), cancellation);
  std::lock_guard lock(mu_);
  projecting_ = false;
  space_ = std::move(space);
  if (IsCancelled(cancellation)) {
    return false;
  }
  if (!projection.ok()) {
    projections_wanted_.erase(field);
    return false;
  }
  projections_[field] = {std::move(column), std::move(*projection)};
  return true;
}

}  // namespace longbow::engine
