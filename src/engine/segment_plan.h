// How one segment answers the queries of a request: estimate, then choose, then make the bitmap if one is needed.
#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "engine/row_filter.h"
#include "engine/view.h"
#include "model/explanation.h"

namespace longbow::engine {

// What planning depends on besides the data.
struct PlanRequest {
  uint32_t k = 10;
  uint32_t ef = 128;
  size_t queries = 1;        // that share the plan
  double recall_target = 0;  // in the place of ef, unless 0
  std::string filter_key;    // SelectionCache::KeyOf of the predicate
};

struct SegmentPlan {
  const SegmentView* view = nullptr;
  SearchMethod method = SearchMethod::kScan;
  std::unique_ptr<SegmentFilter> filter;       // null: every row passes
  std::shared_ptr<const Selection> selection;  // rows that pass, dead ones among them; null: not needed, or no filter
  SegmentGraph::Pinned graph;                  // answers for its rows, the others are scanned
  uint32_t walk_ef = 0;                        // of a walk: more where fewer rows pass
  double estimated_selectivity = 1;
  std::optional<double> actual_selectivity;
  double plan_us = 0;

  // With kProjectionScan: the condition whose rows stand together, and where; rows that came after it are scanned.
  std::optional<filter::OrderedRange> range;
  std::shared_ptr<const index::Projection> projection;
  size_t refined = 0;

  // Finds k rows wherever k exist; a walk may end early.
  bool complete() const { return method == SearchMethod::kScan || method == SearchMethod::kProjectionScan; }
  // Makes the bitmap if there is none, and plans by it; no longer by checking rows one by one.
  void UseBitmap(const PlanRequest& request);
  // Rows that may come back at most.
  uint64_t candidates() const { return selection == nullptr ? view->rows : selection->count; }
  // Of the rows, that may come back.
  float passing_share() const {
    return static_cast<float>(candidates()) / static_cast<float>(std::max<uint32_t>(1, view->rows));
  }

 private:
  friend SegmentPlan PlanSegment(const SegmentView&, const filter::BoundPredicate&, const PlanRequest&);
  // The cheapest method if `passing` rows pass.
  void Choose(const PlanRequest& request, double passing);
  double ProjectionLines(double passing) const;
};

// Costs are counted in cache lines of 64 bytes that a method has to read, from the rows, links and dimensions at hand:
// what is read in order counts its own lines, a row of float32 or a node anywhere in memory more (RandomLines). The
// cheapest method wins; if that would be a projection that does not exist, it is asked for. `predicate` outlives the
// plan, as does `segment`.
SegmentPlan PlanSegment(const SegmentView& segment, const filter::BoundPredicate& predicate,
                        const PlanRequest& request);

}  // namespace longbow::engine
