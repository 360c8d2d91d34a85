#include "engine/segment_plan.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace longbow::engine {
namespace {

constexpr double kLineBytes = 64;
// What a jump in memory costs, in lines read one after the other, and how much more the lines read there cost.
constexpr double kLinesPerMiss = 4;
constexpr double kRandomFactor = 2;
constexpr double kStepFactor = 2;  // a step of a walk waits for memory it could not ask for early enough
// How much further a walk has to look when a share of the rows passes: ef / share ^ exponent. Measured: 0.2 asks for
// twice the ef, 0.1 for 2.8 times.
constexpr double kFilteredEfExponent = 0.45;
constexpr double kFilteredEfFactorMax = 16;
constexpr double kDenseShare = 0.25;           // from here on the passing rows are read as a stream
constexpr double kPreparationLines = 1500;     // of a query for a projection: rotation and tables, in that measure
constexpr uint32_t kAlwaysScannedRows = 2048;  // a walk's own costs, as a number of rows

// Checking a row against its columns costs about as much as a thousand rows of a bitmap.
constexpr double kCheckedSelectivityMin = 0.5;
constexpr uint32_t kCheckedRowsMin = 1u << 15;
constexpr uint32_t kCheckedKMax = 256;
constexpr size_t kCheckedQueriesMax = 4;

double RandomLines(double lines) { return kLinesPerMiss + kRandomFactor * lines; }

double RowLines(const SegmentView& segment) { return segment.segment->vectors().row_bytes() / kLineBytes; }

double ScanLines(const SegmentView& segment, double passing) {
  const bool stream = passing >= kDenseShare * segment.rows;
  return passing * (stream ? RowLines(segment) : RandomLines(RowLines(segment)));
}

// What a walk is asked for, and what it comes to.
struct WalkEffort {
  uint32_t ef = 0;
  double steps = 0;
};

WalkEffort EffortFor(const SegmentGraph::Pinned& graph, uint32_t ef, double share) {
  if (graph.kind == GraphKind::kSealed && index::SealedGraph::LooksFurtherItself(share)) {
    return {ef, ef * index::WalkStages::MoreForPassing(share)};
  }
  const double factor = share > 0 ? std::pow(share, -kFilteredEfExponent) : kFilteredEfFactorMax;
  const double more = ef * std::clamp(factor, 1.0, kFilteredEfFactorMax);
  return {static_cast<uint32_t>(more), more};
}

double WalkLines(const SegmentGraph::Pinned& graph, double steps) {
  return steps * kStepFactor * RandomLines(static_cast<double>(graph.step_bytes) / kLineBytes);
}

double MicrosecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

// What was asked for, or what the recall that was asked for is expected to take.
uint32_t EfOf(const PlanRequest& request, const SegmentGraph::Pinned& graph) {
  if (request.recall_target == 0) {
    return request.ef;
  }
  return graph.recall != nullptr ? graph.recall->EfFor(request.k, request.recall_target)
                                 : index::EfWithoutModel(request.k, request.recall_target);
}

// The error of a 1-bit code shrinks with the square root of the dimension: fewer dimensions, more rows to look at.
size_t RefinedRows(const SegmentView& segment, const PlanRequest& request, uint32_t ef) {
  constexpr double kDimensionOfBase = 384;
  const double dimension = std::max<double>(1, segment.segment->vectors().dimension());
  const double more = std::max(1.0, std::sqrt(kDimensionOfBase / dimension));
  return static_cast<size_t>(more * std::max<double>(ef / 2.0, 5.0 * request.k));
}

}  // namespace

double SegmentPlan::ProjectionLines(double passing) const {
  const size_t dimension = view->segment->vectors().dimension();
  const double rows = range->end - range->begin;
  const uint32_t projected = std::min(range->column->rows(), view->rows);
  const double tail = static_cast<double>(view->rows - projected) / std::max<uint32_t>(1, view->rows);
  const double codes = rows * static_cast<double>(index::Projection::SizeBytesOf(dimension, 1)) / kLineBytes;
  return kPreparationLines + codes + static_cast<double>(refined) * RandomLines(RowLines(*view)) +
         ScanLines(*view, passing * tail);
}

void SegmentPlan::Choose(const PlanRequest& request, double passing) {
  const bool filtered = filter != nullptr;
  method = SearchMethod::kScan;
  double least = ScanLines(*view, passing);
  if (graph.rows > 0 && passing > kAlwaysScannedRows) {
    const WalkEffort effort = EffortFor(graph, EfOf(request, graph), passing / view->rows);
    walk_ef = effort.ef;
    const double walk = WalkLines(graph, effort.steps);
    if (!filtered || walk < least) {
      method = filtered ? SearchMethod::kFilteredWalk : SearchMethod::kWalk;
      least = walk;
    }
  }
  if (range && ProjectionLines(passing) < least) {
    if (projection != nullptr) {
      method = SearchMethod::kProjectionScan;
    } else {
      view->segment->filters().NoteProjectionWanted(range->field);
    }
  }
}

void SegmentPlan::UseBitmap(const PlanRequest& request) {
  if (filter != nullptr && selection == nullptr && view->rows > 0) {
    selection = SelectionOf(*view, *filter, request.filter_key);
    actual_selectivity = static_cast<double>(selection->count) / view->rows;
  }
  Choose(request, static_cast<double>(candidates()));
}

SegmentPlan PlanSegment(const SegmentView& segment, const filter::BoundPredicate& predicate,
                        const PlanRequest& request) {
  const auto started = std::chrono::steady_clock::now();
  SegmentPlan plan;
  plan.view = &segment;
  if (segment.segment->has_graph()) {
    plan.graph = segment.segment->graph().Pin(segment.rows);
  }
  if (predicate.MatchesAll()) {
    plan.Choose(request, segment.rows);
    return plan;
  }
  plan.filter = std::make_unique<SegmentFilter>(segment, predicate);
  plan.estimated_selectivity = plan.filter->EstimateSelectivity();
  plan.refined = RefinedRows(segment, request, EfOf(request, plan.graph));
  plan.range = plan.filter->NarrowestRange();
  if (plan.range) {
    plan.projection = segment.segment->filters().ProjectionOf(*plan.range->column);
  }
  const bool check_rows = !plan.filter->indexed() && plan.graph.rows == segment.rows &&
                          segment.rows >= kCheckedRowsMin && plan.estimated_selectivity >= kCheckedSelectivityMin &&
                          request.k <= kCheckedKMax && request.queries <= kCheckedQueriesMax;
  if (check_rows) {
    plan.method = SearchMethod::kWalkThenCheck;
  } else if (plan.projection != nullptr && plan.range->whole_predicate && plan.range->column->rows() >= segment.rows) {
    // The range is the answer: its bitmap is needed only if something else is cheaper.
    const double passing = plan.range->end - plan.range->begin;
    plan.Choose(request, passing);
    if (plan.method == SearchMethod::kProjectionScan) {
      plan.actual_selectivity = passing / std::max<uint32_t>(1, segment.rows);
    } else {
      plan.UseBitmap(request);
    }
  } else {
    plan.UseBitmap(request);
  }
  plan.plan_us = MicrosecondsSince(started);
  return plan;
}

}  // namespace longbow::engine
