// Predicate x version -> the rows of a segment that a reader is after.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/view.h"
#include "filter/evaluate.h"

namespace longbow::engine {

// One bit per row of the segment; empty where nothing was filtered.
struct Selection {
  std::vector<uint64_t> bits;
  uint64_t count = 0;  // bits set
};

// Rows of `segment` that live in `view` and pass the predicate.
Selection Select(const View& view, const SegmentView& segment, const filter::BoundPredicate& predicate);

}  // namespace longbow::engine
