#include "graph/spread.h"

#include <tsl/robin_map.h>

#include <algorithm>
#include <cfloat>
#include <cmath>

#include "base/edge_limits.h"
#include "base/limits.h"
#include "graph/traverse.h"

namespace longbow::graph {
namespace {

// Sums by node, in the order the nodes came.
class Sums {
 public:
  void Add(uint32_t node, double value) {
    const auto [place, is_new] = places_.try_emplace(node, list_.size());
    if (is_new) {
      list_.push_back({node, 0});
    }
    double& sum = list_[place->second].value;
    sum = std::clamp(sum + value, -double{FLT_MAX}, double{FLT_MAX});
  }
  const std::vector<Activation>& list() const { return list_; }

 private:
  tsl::robin_map<uint32_t, size_t> places_;
  std::vector<Activation> list_;
};

}  // namespace

Result<std::vector<Activation>> Spread(const EdgeFilter& filter, const std::vector<Activation>& seeds,
                                       const SpreadOptions& options, const Cancellation* cancellation) {
  StepCount count(limits::kGraphStepsMax, cancellation);
  Sums total;
  for (const Activation& seed : seeds) {
    total.Add(seed.node, seed.value);
  }
  std::vector<Activation> pulse = total.list();
  for (uint32_t hop = 0; hop < options.hops_max && !pulse.empty(); ++hop) {
    Sums next;
    for (const Activation& from : pulse) {
      if (from.value == 0 || std::fabs(from.value) < options.threshold) {
        continue;
      }
      filter.ForEach(from.node, [&](uint32_t edge, uint32_t neighbour) {
        if (!count.Next()) {
          return false;
        }
        const double weight = options.weighted ? filter.graph().RecordOf(edge).weight : 1;
        next.Add(neighbour, ScoreAfter(from.value, weight, options.decay));
        return true;
      });
      LB_TRY(count.status());
    }
    for (const Activation& arrived : next.list()) {
      total.Add(arrived.node, arrived.value);
    }
    pulse = next.list();
  }
  std::vector<Activation> result = total.list();
  std::stable_sort(result.begin(), result.end(),
                   [](const Activation& a, const Activation& b) { return a.value > b.value; });
  return result;
}

}  // namespace longbow::graph
