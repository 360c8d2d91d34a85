#include "engine/segment_plan.h"

#include <algorithm>
#include <chrono>

namespace longbow::engine {
namespace {

constexpr double kLineBytes = 64;
constexpr double kLinesPerMiss = 4;            // what a jump in memory costs in lines that are read one after the other
constexpr double kDenseShare = 0.25;           // from here on the passing rows are read as a stream
constexpr uint32_t kAlwaysScannedRows = 2048;  // a walk's own costs, as a number of rows

// Checking a row against its columns costs about as much as a thousand rows of a bitmap.
constexpr double kCheckedSelectivityMin = 0.5;
constexpr uint32_t kCheckedRowsMin = 1u << 15;
constexpr uint32_t kCheckedKMax = 256;
constexpr size_t kCheckedQueriesMax = 4;

double RowLines(const SegmentView& segment) { return segment.segment->vectors().row_bytes() / kLineBytes; }

double ScanLines(const SegmentView& segment, double passing) {
  const bool stream = passing >= kDenseShare * segment.rows;
  return passing * (RowLines(segment) + (stream ? 0 : kLinesPerMiss));
}

// A walk measures the neighbours of `ef` rows; to collect as many that pass it has to see 1 / selectivity times more.
double WalkLines(const SegmentView& segment, uint32_t ef, double selectivity) {
  const double nodes = static_cast<double>(ef) * segment.segment->graph().options().m;
  const double least = 1.0 / std::max<double>(1, segment.rows);
  return nodes / std::max(selectivity, least) * (RowLines(segment) + kLinesPerMiss);
}

void ChooseByCount(SegmentPlan* plan, const PlanRequest& request) {
  const SegmentView& segment = *plan->view;
  const auto passing = static_cast<double>(plan->candidates());
  const double share = segment.rows == 0 ? 0 : passing / segment.rows;
  const bool filtered = plan->filter != nullptr;
  const bool scan = plan->linked == 0 || passing <= kAlwaysScannedRows ||
                    (filtered && ScanLines(segment, passing) <= WalkLines(segment, request.ef, share));
  plan->method = scan ? SearchMethod::kScan : filtered ? SearchMethod::kFilteredWalk : SearchMethod::kWalk;
}

double MicrosecondsSince(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
}

}  // namespace

void SegmentPlan::UseBitmap(const PlanRequest& request) {
  if (filter != nullptr && selection.bits.empty() && view->rows > 0) {
    selection = filter->Passing();
    actual_selectivity = static_cast<double>(selection.count) / view->rows;
  }
  ChooseByCount(this, request);
}

SegmentPlan PlanSegment(const SegmentView& segment, const filter::BoundPredicate& predicate,
                        const PlanRequest& request) {
  const auto started = std::chrono::steady_clock::now();
  SegmentPlan plan;
  plan.view = &segment;
  plan.linked = std::min(segment.rows, segment.segment->indexed_rows());
  if (predicate.MatchesAll()) {
    ChooseByCount(&plan, request);
    return plan;
  }
  plan.filter = std::make_unique<SegmentFilter>(segment, predicate);
  plan.estimated_selectivity = plan.filter->EstimateSelectivity();
  const bool check_rows = !plan.filter->indexed() && plan.linked == segment.rows && segment.rows >= kCheckedRowsMin &&
                          plan.estimated_selectivity >= kCheckedSelectivityMin && request.k <= kCheckedKMax &&
                          request.queries <= kCheckedQueriesMax;
  if (check_rows) {
    plan.method = SearchMethod::kWalkThenCheck;
  } else {
    plan.UseBitmap(request);
  }
  plan.plan_us = MicrosecondsSince(started);
  return plan;
}

}  // namespace longbow::engine
