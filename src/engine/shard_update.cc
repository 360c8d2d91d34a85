// Updates of columns: rows are copied to the end with what is new.
#include <arrow/api.h>

#include <algorithm>
#include <cstring>

#include "engine/arrow_status.h"
#include "engine/shard.h"
#include "model/expiry.h"
#include "model/payload.h"

namespace longbow::engine {
namespace {

constexpr size_t kCopiedRowsMax = 65'536;  // at a time

// The vectors of rows of a segment, bit for bit.
Result<std::shared_ptr<arrow::Array>> CopyOfVectors(const CollectionSchema& schema, const Segment& segment,
                                                    const Chunk& chunk, const std::vector<int64_t>& rows) {
  const auto& type = schema.columns->field(schema.vector_column)->type();
  const index::VectorRows& stored = segment.vectors();
  const size_t row_bytes = stored.row_bytes();
  LB_ASSIGN_ARROW(std::shared_ptr<arrow::Buffer> bytes,
                  arrow::AllocateBuffer(static_cast<int64_t>(rows.size() * row_bytes)));
  uint8_t* out = bytes->mutable_data();
  for (const int64_t row : rows) {
    std::memcpy(out, stored.bytes(chunk.first_row + static_cast<uint32_t>(row)), row_bytes);
    out += row_bytes;
  }
  const auto count = static_cast<int64_t>(rows.size());
  const auto elements =
      arrow::ArrayData::Make(type->field(0)->type(), count * schema.dimension, {nullptr, std::move(bytes)}, 0);
  std::shared_ptr<arrow::Array> vectors =
      std::make_shared<arrow::FixedSizeListArray>(type, count, arrow::MakeArray(elements));
  return vectors;
}

// Rows of one chunk, with exactly the schema's columns.
Result<std::shared_ptr<arrow::RecordBatch>> CopyOfRows(const CollectionSchema& schema, const Segment& segment,
                                                       const Chunk& chunk, const std::vector<int64_t>& rows) {
  arrow::FieldVector fields;
  arrow::ArrayVector columns;
  for (int i = 0; i < chunk.rows->num_columns(); ++i) {
    fields.push_back(chunk.rows->schema()->field(i));
    if (i == schema.vector_column) {
      LB_ASSIGN(auto vectors, CopyOfVectors(schema, segment, chunk, rows));
      columns.push_back(std::move(vectors));
    } else {
      LB_ASSIGN(auto taken, TakeValues(chunk.rows->column(i), rows));
      columns.push_back(std::move(taken));
    }
  }
  return ConformTo(schema, *arrow::RecordBatch::Make(arrow::schema(std::move(fields)),
                                                     static_cast<int64_t>(rows.size()), std::move(columns)));
}

}  // namespace

// Ids are written by this thread alone, which therefore reads them without the lock.
std::optional<Shard::RowPlace> Shard::PlaceOf(const RowKey& key) const {
  const std::optional<uint64_t> ordinal = FindLocked(key);
  if (!ordinal) {
    return std::nullopt;
  }
  const auto after =
      std::upper_bound(segments_.begin(), segments_.end(), *ordinal,
                       [](uint64_t value, const auto& segment) { return value < segment->first_ordinal(); });
  if (after == segments_.begin()) {
    return std::nullopt;
  }
  const Segment& segment = **(after - 1);
  const std::optional<uint32_t> row = segment.RowOf(*ordinal);
  if (!row || segment.deleted_at()[*row].load(std::memory_order_relaxed) != 0) {
    return std::nullopt;
  }
  return RowPlace{&segment, *row};
}

Status Shard::ApplyUpdate(const std::vector<RowKey>& keys, const arrow::RecordBatch& values, LogIndex index,
                          int64_t update_time_ns) {
  struct Written {
    uint64_t first_ordinal;
    std::shared_ptr<arrow::RecordBatch> rows;
  };
  std::vector<Written> written;
  // Neighbouring keys whose rows stand in one chunk are copied together; nobody sees the copies before all are there.
  for (size_t next = 0; next < keys.size();) {
    std::shared_ptr<Segment> segment;
    const Chunk* chunk = nullptr;
    std::vector<int64_t> rows;
    std::vector<int64_t> value_rows;
    for (; next < keys.size() && rows.size() < kCopiedRowsMax; ++next) {
      const std::optional<RowPlace> place = PlaceOf(keys[next]);
      if (!place) {
        continue;
      }
      const Chunk& found = place->segment->chunks().Find(place->row);
      if (chunk == nullptr) {
        chunk = &found;
        segment = *std::find_if(segments_.begin(), segments_.end(),
                                [&](const auto& one) { return one.get() == place->segment; });
      } else if (chunk != &found) {
        break;
      }
      rows.push_back(place->row - found.first_row);
      value_rows.push_back(values.num_rows() == 1 ? 0 : static_cast<int64_t>(next));
    }
    if (rows.empty()) {
      continue;
    }
    if (schema_->vector_column >= 0 && !segment->searchable()) {
      return DataLoss("the log updates a row without vector");  // the proposer refuses these
    }
    LB_ASSIGN(auto copies, CopyOfRows(*schema_, *segment, *chunk, rows));
    LB_ASSIGN(copies, WithPayload(*schema_, *copies, values, value_rows));
    LB_ASSIGN(copies, FillExpiry(*schema_, copies, update_time_ns));
    written.push_back({end_ordinal_, copies});
    LB_TRY(Append(copies, std::nullopt));
  }
  std::unique_lock lock(ids_mu_);
  for (const Written& part : written) {
    SetIds(part.first_ordinal, *part.rows, index.value);
  }
  Publish(index.value);
  return {};
}

}  // namespace longbow::engine
