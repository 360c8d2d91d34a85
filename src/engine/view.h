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
  int64_t next_expiry_ns = kNeverNs;  // no row that is alive here ends earlier
  bool takes_rows = false;            // more may be appended later
};

struct View {
  std::shared_ptr<const CollectionSchema> schema;
  uint64_t version = 0;               // log index of the last entry applied; rows deleted later are alive here
  uint64_t end_ordinal = 0;           // of rows here; those that were compacted away left holes below it
  uint64_t next_segment = 0;          // number of the next one
  uint64_t rows = 0;                  // in the segments, dead ones included
  uint64_t live_rows = 0;             // those that have expired and were not deleted yet among them: CountLive
  int64_t next_expiry_ns = kNeverNs;  // the earliest of the segments'
  int64_t now_ns = 0;                 // the reader's: rows that end by then are gone; 0: as the log says
  uint64_t expired_rows = 0;          // deleted because their time had come, since the start
  uint64_t size_bytes = 0;            // Arrow bytes of all rows put so far
  std::vector<SegmentView> segments;

  // The row with an ordinal; a null segment if it is beyond this view or a compaction took it.
  struct Place {
    const SegmentView* segment = nullptr;
    uint32_t row = 0;
  };
  Place Find(uint64_t ordinal) const;
  bool IsLive(uint64_t ordinal) const;
  // Exactly; reads the times of rows that may have expired.
  uint64_t CountLive() const;
  // Rows of `view` visible at this version, before any predicate.
  index::RowFilter FilterOf(const SegmentView& segment) const {
    return {.begin = 0,
            .end = segment.rows,
            .deleted_at = segment.segment->deleted_at(),
            .version = version,
            .passing = nullptr,
            .expires_at = segment.next_expiry_ns <= now_ns ? segment.segment->expires_at() : nullptr,
            .now_ns = now_ns};
  }
  // Rows from `first_ordinal` on that wait for a graph to be linked into; few rows in a segment need none.
  uint64_t TailRows(uint64_t first_ordinal = 0) const;
};

}  // namespace longbow::engine
