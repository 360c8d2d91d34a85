#include "engine/segment_filters.h"

#include <vector>

namespace longbow::engine {
namespace {

// Chunks smaller than this may be joined while they are among the last ones (segment.cc).
constexpr int64_t kJoinedRowsMax = 1024;
constexpr size_t kJoinedChunksMax = 256;

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

bool SegmentFilters::BuildSome(const CollectionSchema& schema, const Chunks& chunks) {
  const uint32_t rows = StableRows(chunks);
  if (!index_.HasWork(rows)) {
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

}  // namespace longbow::engine
