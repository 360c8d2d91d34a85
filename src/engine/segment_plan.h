// How one segment answers the queries of a request: estimate, then choose, then make the bitmap if one is needed.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>

#include "engine/row_filter.h"
#include "engine/view.h"
#include "model/explanation.h"

namespace longbow::engine {

// What planning depends on besides the data.
struct PlanRequest {
  uint32_t k = 10;
  uint32_t ef = 128;
  size_t queries = 1;  // that share the plan
};

struct SegmentPlan {
  const SegmentView* view = nullptr;
  SearchMethod method = SearchMethod::kScan;
  std::unique_ptr<SegmentFilter> filter;  // null: every row passes
  Selection selection;                    // rows that pass, dead ones among them; no bits: not needed, or no filter
  uint32_t linked = 0;                    // rows below may be answered by the graph, the others are scanned
  double estimated_selectivity = 1;
  std::optional<double> actual_selectivity;
  double plan_us = 0;

  bool exact() const { return method == SearchMethod::kScan; }
  // Makes the bitmap if there is none, and plans by it; no longer by checking rows one by one.
  void UseBitmap(const PlanRequest& request);
  // Rows that may come back at most.
  uint64_t candidates() const { return selection.bits.empty() ? view->rows : selection.count; }
};

// Costs are counted in cache lines of 64 bytes that a method has to read, from the rows, links and dimensions at hand:
// a row of float32 or a node anywhere in memory counts its own lines and kLinesPerMiss for being somewhere else. The
// cheapest method wins. `predicate` outlives the plan, as does `segment`.
SegmentPlan PlanSegment(const SegmentView& segment, const filter::BoundPredicate& predicate,
                        const PlanRequest& request);

}  // namespace longbow::engine
