#include "engine/view.h"

#include <algorithm>

namespace longbow::engine {

View::Place View::Find(uint64_t ordinal) const {
  const auto after = std::upper_bound(
      segments.begin(), segments.end(), ordinal,
      [](uint64_t value, const SegmentView& segment) { return value < segment.segment->first_ordinal(); });
  if (after == segments.begin()) {
    return {};
  }
  const SegmentView& segment = *(after - 1);
  const std::optional<uint32_t> row = segment.segment->RowOf(ordinal);
  return row && *row < segment.rows ? Place{&segment, *row} : Place{};
}

bool View::IsLive(uint64_t ordinal) const {
  const Place place = Find(ordinal);
  return place.segment != nullptr && FilterOf(*place.segment).Contains(place.row);
}

uint64_t View::CountLive() const {
  uint64_t live = live_rows;
  for (const SegmentView& segment : segments) {
    index::RowFilter undeleted = FilterOf(segment);
    if (undeleted.expires_at == nullptr) {
      continue;
    }
    const index::RowFilter visible = undeleted;
    undeleted.expires_at = nullptr;
    for (uint32_t row = 0; row < segment.rows; ++row) {
      live -= visible.HasExpired(row) && undeleted.Contains(row) ? 1 : 0;
    }
  }
  return live;
}

uint64_t View::TailRows(uint64_t first_ordinal) const {
  uint64_t tail = 0;
  for (const SegmentView& segment : segments) {
    if (!segment.segment->has_graph() || !segment.segment->graph().IsWantedFor(segment.rows)) {
      continue;
    }
    uint32_t row = std::min(segment.rows, segment.segment->indexed_rows());
    if (segment.segment->first_ordinal() < first_ordinal) {
      // Rows of older ordinals stand before the others, with holes only in segments that take no new ones.
      const uint64_t older = first_ordinal - segment.segment->first_ordinal();
      row = static_cast<uint32_t>(std::min<uint64_t>(segment.rows, std::max<uint64_t>(row, older)));
    }
    tail += segment.rows - row;
  }
  return tail;
}

}  // namespace longbow::engine
