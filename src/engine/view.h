// One version of a shard, pinned by a reader: it stays as it is however long the reader takes.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/segment.h"
#include "model/schema.h"

namespace longbow::engine {

struct SegmentView {
  std::shared_ptr<Segment> segment;
  uint32_t rows = 0;
  Chunks chunks;
};

struct View {
  std::shared_ptr<const CollectionSchema> schema;
  uint64_t version = 0;       // log index of the last entry applied; rows deleted later are alive here
  uint64_t end_ordinal = 0;   // of rows here; those that were compacted away left holes below it
  uint64_t next_segment = 0;  // number of the next one
  uint64_t rows = 0;          // in the segments, dead ones included
  uint64_t live_rows = 0;
  uint64_t size_bytes = 0;  // Arrow bytes of all rows put so far
  std::vector<SegmentView> segments;

  // The row with an ordinal; a null segment if it is beyond this view or a compaction took it.
  struct Place {
    const SegmentView* segment = nullptr;
    uint32_t row = 0;
  };
  Place Find(uint64_t ordinal) const;
  bool IsLive(uint64_t ordinal) const;
  // Rows of `view` visible at this version, before any predicate.
  index::RowFilter FilterOf(const SegmentView& segment) const {
    return {.begin = 0,
            .end = segment.rows,
            .deleted_at = segment.segment->deleted_at(),
            .version = version,
            .passing = nullptr};
  }
  // Rows from `first_ordinal` on that wait for a graph to be linked into; few rows in a segment need none.
  uint64_t TailRows(uint64_t first_ordinal = 0) const;
};

}  // namespace longbow::engine
