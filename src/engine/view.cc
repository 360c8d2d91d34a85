#include "engine/view.h"

#include <algorithm>

namespace longbow::engine {

const SegmentView& View::Find(uint64_t ordinal) const {
  const auto after = std::upper_bound(
      segments.begin(), segments.end(), ordinal,
      [](uint64_t value, const SegmentView& segment) { return value < segment.segment->first_ordinal(); });
  return *(after - 1);
}

bool View::IsLive(uint64_t ordinal) const {
  const SegmentView& segment = Find(ordinal);
  return FilterOf(segment).Contains(static_cast<index::LocalId>(ordinal - segment.segment->first_ordinal()));
}

uint64_t View::TailRows(uint64_t first_ordinal) const {
  uint64_t tail = 0;
  for (const SegmentView& segment : segments) {
    if (segment.segment->has_graph() && segment.segment->graph().IsWantedFor(segment.rows)) {
      const uint64_t end = segment.segment->first_ordinal() + segment.rows;
      const uint64_t linked =
          segment.segment->first_ordinal() + std::min(segment.rows, segment.segment->indexed_rows());
      tail += end - std::min(end, std::max(linked, first_ordinal));
    }
  }
  return tail;
}

}  // namespace longbow::engine
