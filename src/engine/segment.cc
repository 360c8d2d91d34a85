#include "engine/segment.h"

#include <arrow/api.h>
#include <arrow/util/byte_size.h>

#include <algorithm>

#include "engine/arrow_status.h"

namespace longbow::engine {
namespace {

constexpr uint32_t kSmallChunkRows = 1024;  // chunks below this are joined ...
constexpr size_t kSmallChunksMax = 256;     // ... once so many stand at the end

// A part of the vector array as an Arrow buffer: the column is stored once.
class VectorView final : public arrow::Buffer {
 public:
  VectorView(std::shared_ptr<const index::VectorRows> rows, const std::byte* data, int64_t size_bytes)
      : Buffer(reinterpret_cast<const uint8_t*>(data), size_bytes), rows_(std::move(rows)) {}

 private:
  std::shared_ptr<const index::VectorRows> rows_;
};

// The vector column of rows [first, first + count).
std::shared_ptr<arrow::Array> VectorColumn(const CollectionSchema& schema,
                                           const std::shared_ptr<const index::VectorRows>& rows, uint32_t first,
                                           uint32_t count) {
  const auto& type = schema.columns->field(schema.vector_column)->type();
  auto view = std::make_shared<VectorView>(rows, rows->bytes(first), static_cast<int64_t>(count * rows->row_bytes()));
  auto elements = arrow::ArrayData::Make(type->field(0)->type(), static_cast<int64_t>(count) * schema.dimension,
                                         {nullptr, std::move(view)}, 0);
  return std::make_shared<arrow::FixedSizeListArray>(type, count, arrow::MakeArray(elements));
}

// Of rows in memory: their vectors, if they have any, and the other columns as far as Arrow can tell.
uint64_t MemoryBytesOf(const CollectionSchema& schema, const arrow::RecordBatch& rows,
                       const index::VectorRows* vectors) {
  uint64_t size_bytes = vectors == nullptr ? 0 : static_cast<uint64_t>(rows.num_rows()) * vectors->row_bytes();
  for (int i = 0; i < rows.num_columns(); ++i) {
    if (i != schema.vector_column) {
      size_bytes += static_cast<uint64_t>(arrow::util::ReferencedBufferSize(*rows.column(i)).ValueOr(0));
    }
  }
  return size_bytes;
}

}  // namespace

uint32_t SegmentRowsMax(const CollectionSchema& schema, const SegmentOptions& options) {
  if (options.budget == nullptr || schema.vector_column < 0) {
    return options.rows_max;
  }
  const uint64_t row_bytes = schema.dimension * ElementSizeBytes(schema.element);
  return options.budget->SegmentRowsMax(
      row_bytes + ActiveGraphRowBytes(schema.dimension) + LeanGraphRowBytes(schema.dimension), options.rows_max);
}

Result<std::shared_ptr<Segment>> Segment::Create(const CollectionSchema& schema, const SegmentOptions& options,
                                                 SegmentIdentity identity) {
  std::shared_ptr<Segment> segment(new Segment(identity, options));
  if (segment->deleted_at_.data() == nullptr) {
    return ResourceExhausted("no memory for a new segment of " + std::to_string(options.rows_max) + " rows");
  }
  segment->chunks_ = std::make_shared<ChunkList>(16);
  if (schema.vector_column >= 0 && identity.has_vectors) {
    SegmentGraphOptions graph = options.graph;
    index::ArrayPlace place = options.in_scratch ? graph.scratch : index::ArrayPlace();
    if (options.numa != nullptr) {
      place.node = {options.numa, options.numa->NextPlace()};
    }
    graph.active.place = place;
    LB_ASSIGN(segment->vectors_, index::VectorRows::Create(schema.dimension, options.rows_max, schema.metric,
                                                           *options.kernels, schema.element, place));
    if (!IsBitMetric(schema.metric)) {
      segment->graph_ = std::make_unique<SegmentGraph>(segment->vectors_, segment->deleted_at_.data(), graph);
    }
  }
  return segment;
}

Result<std::shared_ptr<Segment>> Segment::CreateClosed(const CollectionSchema& schema, const SegmentOptions& options,
                                                       SegmentIdentity identity, uint32_t rows, uint64_t end_ordinal,
                                                       std::shared_ptr<const RowOrdinals> ordinals) {
  SegmentOptions closed = options;
  closed.rows_max = std::max(1u, rows);
  LB_ASSIGN(std::shared_ptr<Segment> segment, Create(schema, closed, identity));
  segment->is_closed_ = true;
  segment->end_ordinal_ = end_ordinal;
  segment->ordinals_ = std::move(ordinals);
  return segment;
}

std::optional<uint32_t> Segment::RowOf(uint64_t ordinal) const {
  const uint64_t offset = ordinal - first_ordinal_;
  if (ordinals_ != nullptr) {
    return ordinals_->Find(offset);
  }
  return offset < rows_max_ ? std::optional(static_cast<uint32_t>(offset)) : std::nullopt;
}

Status Segment::AppendPlaced(const CollectionSchema& schema, const arrow::RecordBatch& columns, Placed placed) {
  const auto count = static_cast<uint32_t>(columns.num_rows());
  std::vector<std::shared_ptr<arrow::Array>> arrays(schema.columns->num_fields());
  std::shared_ptr<arrow::Schema> types = schema.columns;
  for (int i = 0; i < schema.columns->num_fields(); ++i) {
    const auto& field = schema.columns->field(i);
    if (i == schema.vector_column && vectors_ == nullptr) {
      LB_ASSIGN(arrays[i], NullVectors(schema, count));
      continue;
    }
    arrays[i] = i == schema.vector_column ? VectorColumn(schema, vectors_, rows_, count)
                                          : columns.GetColumnByName(field->name());
    if (arrays[i] == nullptr) {
      LB_ASSIGN_ARROW(arrays[i], arrow::MakeArrayOfNull(field->type(), count));
    }
    if (!arrays[i]->type()->Equals(*field->type())) {  // of an older schema: readers widen what they take
      LB_ASSIGN_ARROW(types, types->SetField(i, field->WithType(arrays[i]->type())));
    }
  }
  if (vectors_ != nullptr) {
    vectors_->AdoptRows(rows_, rows_ + count);
  }
  auto chunk = arrow::RecordBatch::Make(types, count, std::move(arrays));
  if (placed == Placed::kInMemory && !is_in_scratch_) {
    memory_bytes_ += MemoryBytesOf(schema, *chunk, vectors_.get());
  }
  LB_TRY(AppendChunk(schema, {rows_, std::move(chunk)}));
  rows_ += count;
  small_chunks_at_end_ = 0;  // what was loaded is not joined again
  return {};
}

Status Segment::PlaceVectors(const CollectionSchema& schema, const arrow::RecordBatch& rows, uint32_t first) {
  LB_TRY(CopyVectors(schema, rows, vectors_->MutableBytes(first)));
  vectors_->FinishRows(first, first + static_cast<uint32_t>(rows.num_rows()));
  return {};
}

Status Segment::Append(const CollectionSchema& schema, const std::shared_ptr<arrow::RecordBatch>& rows,
                       bool vectors_are_placed) {
  const auto count = static_cast<uint32_t>(rows->num_rows());
  std::shared_ptr<arrow::RecordBatch> chunk = rows;
  if (vectors_ != nullptr) {
    if (!vectors_are_placed) {
      LB_TRY(PlaceVectors(schema, *rows, rows_));
    }
    LB_ASSIGN_ARROW(chunk, rows->SetColumn(schema.vector_column, schema.columns->field(schema.vector_column),
                                           VectorColumn(schema, vectors_, rows_, count)));
  }
  memory_bytes_ += MemoryBytesOf(schema, *chunk, vectors_.get());
  LB_TRY(AppendChunk(schema, {rows_, std::move(chunk)}));
  rows_ += count;
  small_chunks_at_end_ = count < kSmallChunkRows ? small_chunks_at_end_ + 1 : 0;
  if (small_chunks_at_end_ >= kSmallChunksMax) {
    return MergeSmallChunks(schema);
  }
  return {};
}

Status Segment::AppendChunk(const CollectionSchema& schema, Chunk chunk) {
  LB_TRY(ReadExpiry(schema));
  if (expiry_ != nullptr) {
    expiry_->Set(chunk.first_row, *chunk.rows->column(schema.expiry_column));
  }
  if (chunks_->full()) {
    auto larger = std::make_shared<ChunkList>(std::max<size_t>(16, chunk_count_ * 2));
    for (const Chunk& old : chunks()) {
      larger->Append(old);
    }
    chunks_ = std::move(larger);
  }
  chunks_->Append(std::move(chunk));
  ++chunk_count_;
  return {};
}

Status Segment::ReadExpiry(const CollectionSchema& schema) {
  if (expiry_ != nullptr || schema.expiry_column < 0) {
    return {};
  }
  auto expiry = std::make_unique<ExpiryTimes>(rows_max_);
  if (expiry->data() == nullptr) {
    return ResourceExhausted("no memory for the times at which rows of a segment of " + std::to_string(rows_max_) +
                             " rows expire");
  }
  for (const Chunk& chunk : chunks()) {
    if (const auto times = chunk.rows->GetColumnByName(schema.columns->field(schema.expiry_column)->name())) {
      expiry->Set(chunk.first_row, *times);
    }
  }
  expiry_ = std::move(expiry);
  return {};
}

uint32_t Segment::Expire(int64_t time_ns, uint64_t version) {
  uint32_t expired = 0;
  if (next_expiry_ns() <= time_ns) {
    expiry_->Sweep(time_ns, rows_, deleted_at_.data(), [&](uint32_t row) {
      MarkDeleted(row, version);
      ++expired;
    });
  }
  return expired;
}

// Single-row puts would otherwise leave a batch of their own each, at kilobytes a row.
Status Segment::MergeSmallChunks(const CollectionSchema& schema) {
  const Chunks old = chunks();
  const Chunk* first_small = old.end() - small_chunks_at_end_;
  std::vector<std::shared_ptr<arrow::RecordBatch>> small;
  for (const Chunk* chunk = first_small; chunk != old.end(); ++chunk) {
    LB_ASSIGN(auto rows, ConformTo(schema, *chunk->rows));
    small.push_back(std::move(rows));
  }
  std::vector<std::shared_ptr<arrow::Array>> columns(schema.columns->num_fields());
  for (int i = 0; i < schema.columns->num_fields(); ++i) {
    if (i == schema.vector_column) {
      columns[i] = VectorColumn(schema, vectors_, first_small->first_row, rows_ - first_small->first_row);
      continue;
    }
    std::vector<std::shared_ptr<arrow::Array>> parts;
    for (const auto& rows : small) {
      parts.push_back(rows->column(i));
    }
    LB_ASSIGN_ARROW(columns[i], arrow::Concatenate(parts));
  }
  auto merged = arrow::RecordBatch::Make(schema.columns, rows_ - first_small->first_row, std::move(columns));
  auto list = std::make_shared<ChunkList>(std::max<size_t>(16, chunk_count_));
  for (const Chunk* chunk = old.begin(); chunk != first_small; ++chunk) {
    list->Append(*chunk);
  }
  list->Append({first_small->first_row, std::move(merged)});
  chunk_count_ = static_cast<size_t>(first_small - old.begin()) + 1;
  chunks_ = std::move(list);
  small_chunks_at_end_ = 0;
  return {};
}

}  // namespace longbow::engine
