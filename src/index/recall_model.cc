#include "index/recall_model.h"

#include <algorithm>
#include <cmath>
#include <span>

#include "base/limits.h"
#include "index/calibration_queries.h"

namespace longbow::index {
namespace {

constexpr uint32_t kFew = 10;
constexpr uint32_t kMany = 100;
constexpr uint32_t kEfPerRowMin = 2;  // a sealed graph's own minimum
constexpr double kGrowth = 1.25;
constexpr size_t kStages = 24;        // k = 10: up to an ef of 3,400
constexpr size_t kPerfectStages = 2;  // in a row: a query that found all so often has no more to tell
constexpr double kGroupMisses = 1.2;  // queries in a class times the share that may be missed, or more: else few decide
constexpr uint32_t kManyShare = 4;    // of the queries, one in so many is asked for many rows

// What one query has found at each ef.
struct Trace {
  float spread = 0;
  std::array<float, kStages> recall;
};

std::array<uint32_t, kStages> StagesFor(uint32_t k) {
  std::array<uint32_t, kStages> efs;
  double ef = kEfPerRowMin * k;
  for (uint32_t& stage : efs) {
    stage = static_cast<uint32_t>(std::min<double>(ef, limits::kEfMax));
    ef *= kGrowth;
  }
  return efs;
}

double RecallOf(const std::vector<Neighbor>& found, const std::vector<double>& nearest, uint32_t k) {
  const size_t wanted = std::min<size_t>(k, nearest.size());
  if (wanted == 0) {
    return 1;
  }
  // Rows as far as the last one wanted are as good.
  const auto right = std::count_if(found.begin(), found.end(),
                                   [&](const Neighbor& row) { return row.distance <= nearest[wanted - 1]; });
  return static_cast<double>(std::min<size_t>(static_cast<size_t>(right), wanted)) / static_cast<double>(wanted);
}

Result<Trace> TraceOf(const VectorIndex& graph, const CalibrationOptions& options, const CalibrationQuery& query,
                      uint32_t k) {
  Trace trace;
  const std::array<uint32_t, kStages> efs = StagesFor(k);
  size_t perfect = 0;
  for (size_t stage = 0; stage < kStages; ++stage) {
    if (perfect == kPerfectStages) {
      trace.recall[stage] = 1;
      continue;
    }
    SearchCounters counters;
    StopRule rule{.ef_first = efs[0]};
    rule.ef.fill(efs[stage]);
    LB_ASSIGN(const auto found, graph.Search(query.query, {.k = k,
                                                           .stop = &rule,
                                                           .left_out = query.left_out,
                                                           .filter = options.living,
                                                           .cancellation = options.cancellation,
                                                           .counters = &counters}));
    trace.recall[stage] = static_cast<float>(RecallOf(found, query.nearest, k));
    trace.spread = counters.spread;
    perfect = trace.recall[stage] == 1 ? perfect + 1 : 0;
  }
  return trace;
}

// The first stage from which on these queries have the recall; the last if none. As they are a sample, their mean has
// to be above it by its own standard error.
size_t StageFor(std::span<const Trace> traces, double target) {
  const auto n = static_cast<double>(traces.size());
  size_t stage = kStages - 1;
  for (size_t s = kStages; s-- > 0;) {
    double sum = 0;
    double squares = 0;
    for (const Trace& trace : traces) {
      sum += trace.recall[s];
      squares += trace.recall[s] * trace.recall[s];
    }
    const double mean = sum / n;
    const double error = std::sqrt(std::max(0.0, squares / n - mean * mean) / n);
    if (mean - error < target) {
      break;
    }
    stage = s;
  }
  return stage;
}

RecallModel::Rules RulesFrom(std::vector<Trace> traces, uint32_t k) {
  constexpr size_t kClasses = StopRule::kClasses;
  std::sort(traces.begin(), traces.end(), [](const Trace& a, const Trace& b) { return a.spread > b.spread; });
  const std::array<uint32_t, kStages> efs = StagesFor(k);
  RecallModel::Rules rules;
  for (size_t t = 0; t < rules.size(); ++t) {
    StopRule& rule = rules[t];
    rule.ef_first = efs[0];
    const bool beyond = t == RecallModel::kTargets.size();
    // With few queries several classes share what they tell.
    const double misses = beyond ? 0 : static_cast<double>(traces.size()) * (1 - RecallModel::kTargets[t]);
    const size_t groups = std::clamp<size_t>(static_cast<size_t>(misses / kGroupMisses), 1, kClasses);
    const auto end_of = [&](size_t group) {
      size_t end = group * traces.size() / groups;
      while (end > 0 && end < traces.size() && traces[end].spread == traces[end - 1].spread) {
        ++end;  // what looks alike is of one class
      }
      return end;
    };
    size_t least = 0;  // harder queries take no less
    for (size_t c = 0; c < kClasses; ++c) {
      const size_t group = c * groups / kClasses;
      const size_t begin = end_of(group);
      const size_t end = end_of(group + 1);
      if (c > 0) {
        rule.spread_below[c - 1] = begin > 0 ? traces[begin - 1].spread : HUGE_VALF;
      }
      if (beyond) {
        least = kStages - 1;
      } else if (begin < end) {
        const std::span<const Trace> of_class = std::span(traces).subspan(begin, end - begin);
        least = std::max(least, StageFor(of_class, RecallModel::kTargets[t]));
      }
      rule.ef[c] = efs[least];
    }
  }
  return rules;
}

}  // namespace

Result<std::shared_ptr<const RecallModel>> RecallModel::Calibrate(const VectorIndex& graph, const VectorRows& rows,
                                                                  const CalibrationOptions& options) {
  LB_ASSIGN(std::vector<CalibrationQuery> queries, MakeCalibrationQueries(rows, options));
  if (queries.empty()) {
    return std::shared_ptr<const RecallModel>();
  }
  LB_TRY(FindNearest(rows, kMany, options, queries));
  std::vector<Trace> few;
  std::vector<Trace> many;
  for (size_t i = 0; i < queries.size(); ++i) {
    LB_ASSIGN(few.emplace_back(), TraceOf(graph, options, queries[i], kFew));
    if (i % kManyShare == 0) {
      LB_ASSIGN(many.emplace_back(), TraceOf(graph, options, queries[i], kMany));
    }
  }
  return std::shared_ptr<const RecallModel>(new RecallModel(RulesFrom(few, kFew), RulesFrom(many, kMany)));
}

StopRule RecallModel::RuleFor(uint32_t k, double target) const {
  const auto t = static_cast<size_t>(std::lower_bound(kTargets.begin(), kTargets.end(), target) - kTargets.begin());
  if (k <= kFew) {
    return few_[t];
  }
  // Between the two measured: classes of the nearer, efs by the logarithm of k. Beyond: in proportion to k.
  const double share =
      std::min(1.0, std::log(static_cast<double>(k) / kFew) / std::log(static_cast<double>(kMany) / kFew));
  const double more = std::max(1.0, static_cast<double>(k) / kMany);
  const auto between = [&](uint32_t a, uint32_t b) {
    const double ef = more * std::exp((1 - share) * std::log(a) + share * std::log(b));
    return static_cast<uint32_t>(std::min<double>(std::ceil(ef), limits::kEfMax));
  };
  StopRule rule = share < 0.5 ? few_[t] : many_[t];
  rule.ef_first = between(few_[t].ef_first, many_[t].ef_first);
  for (size_t c = 0; c < StopRule::kClasses; ++c) {
    rule.ef[c] = between(few_[t].ef[c], many_[t].ef[c]);
  }
  return rule;
}

uint32_t RecallModel::EfFor(uint32_t k, double target) const { return RuleFor(k, target).ef[StopRule::kClasses / 2]; }

uint32_t EfWithoutModel(uint32_t k, double target) {
  const double miss = std::max(1 - target, 0.0005);
  const double ef = 128 * std::max(1.0, k / 10.0) * std::sqrt(0.1 / miss);
  return static_cast<uint32_t>(std::min<double>(std::max(ef, 2.0 * k), limits::kEfMax));
}

}  // namespace longbow::index
