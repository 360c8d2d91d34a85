// What a segment knows of its graph's recall: learned when the graph is new, and again from what clients ask.
#include <algorithm>
#include <vector>

#include "engine/segment_graph.h"
#include "index/flat_search.h"

namespace longbow::engine {
namespace {

constexpr uint64_t kQueriesToLearnFrom = 64;  // kept since the model was made
constexpr std::chrono::minutes kLearnAgainAfter{10};

}  // namespace

// The graph that searches use: the sealed one, or an active one that has come to rest.
SegmentGraph::Calibration SegmentGraph::ClaimCalibration() {
  const uint64_t noted = queries_.noted();
  const std::lock_guard lock(mu_);
  const SteadyClock::time_point now = SteadyClock::now();
  if (calibrating_ || now < next_calibration_) {
    return {};
  }
  Calibration claimed;
  if (sealed_.index != nullptr) {
    claimed = {sealed_.index, sealed_.rows, true};
  } else if (active_ != nullptr && !exclusive_ && claims_in_flight_.empty() && now - last_linked_ >= options_.rest &&
             indexed_rows() < options_.seal_rows_min && indexed_rows() < rows_->capacity()) {
    claimed = {active_, indexed_rows(), false};
  }
  const bool is_new = claimed.sealed != recall_sealed_ || claimed.rows != recall_rows_;
  if (claimed.graph == nullptr || (!is_new && noted < recall_noted_ + kQueriesToLearnFrom)) {
    return {};
  }
  calibrating_ = true;
  recall_noted_ = noted;
  return claimed;
}

void SegmentGraph::Calibrate(const Calibration& claimed, const Cancellation* cancellation) {
  index::CalibrationOptions options;
  options.living = Living(claimed.rows);
  options.asked = queries_.kept();
  options.cancellation = cancellation;
  auto model = index::RecallModel::Calibrate(*claimed.graph, *rows_, options);
  const std::lock_guard lock(mu_);
  calibrating_ = false;
  if (IsCancelled(cancellation)) {
    return;
  }
  next_calibration_ = SteadyClock::now();
  // A graph that was made meanwhile is learned about at once; one that knows what clients ask not again before long.
  const bool is_current = !claimed.sealed || sealed_.index == claimed.graph;
  recall_ = model.ok() && is_current ? std::move(*model) : nullptr;
  recall_sealed_ = claimed.sealed;
  recall_rows_ = claimed.rows;
  if (is_current && options.asked.size() >= options.queries_per_kind) {
    next_calibration_ += kLearnAgainAfter;
  }
}

bool SegmentGraph::CheckRecall(const Cancellation* cancellation) {
  if (options_.metrics == nullptr) {
    return false;
  }
  {
    const std::lock_guard lock(mu_);
    if (SteadyClock::now() < next_check_) {
      return false;
    }
    next_check_ = SteadyClock::now() + options_.look_period;
  }
  const std::optional<QuerySample::Asked> asked = queries_.TakeLast();
  if (!asked) {
    return false;
  }
  const Pinned graph = Pin(rows_->capacity());
  const auto query = index::TypedQuery::For(rows_->type(), rows_->metric(), asked->vector);
  if (graph.index == nullptr || !query.ok()) {
    return false;
  }
  index::SearchOptions options{
      .k = asked->k, .ef = asked->ef, .filter = Living(graph.rows), .cancellation = cancellation};
  index::StopRule rule;
  if (asked->recall_target > 0 && graph.recall != nullptr) {
    rule = graph.recall->RuleFor(asked->k, asked->recall_target);
    options.stop = &rule;
  } else if (asked->recall_target > 0) {
    options.ef = index::EfWithoutModel(asked->k, asked->recall_target);
  }
  const auto found = graph.index->Search(*query, options);
  const auto exact = index::FlatSearch(*rows_, *query, options);
  if (!found.ok() || !exact.ok() || exact->empty()) {
    return false;
  }
  const auto right = std::count_if(found->begin(), found->end(), [&](const index::Neighbor& row) {
    return row.distance <= exact->back().distance;  // rows as far as the last are as good
  });
  Histogram(options_.metrics->recall_sampled)
      .Observe(std::min(1.0, static_cast<double>(right) / static_cast<double>(exact->size())));
  return true;
}

}  // namespace longbow::engine
