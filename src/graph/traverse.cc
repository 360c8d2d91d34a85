#include "graph/traverse.h"

#include <tsl/robin_map.h>

#include <algorithm>
#include <cfloat>

#include "base/edge_limits.h"
#include "base/limits.h"

namespace longbow::graph {
namespace {

// One edge of a path and the path before it.
struct Step {
  uint32_t before = kNone;  // another step; none: the start
  uint32_t edge = kNone;
  uint32_t node = kNone;
  double score = 1;
};

class Walk {
 public:
  Walk(const EdgeFilter& filter, uint32_t start, const TraverseOptions& options, const Cancellation* cancellation)
      : filter_(filter), start_(start), options_(options), count_(limits::kGraphStepsMax, cancellation) {}

  Result<std::vector<Path>> Run() {
    steps_.push_back({kNone, kNone, start_, 1});
    size_t begin = 0;
    for (uint32_t hop = 0; hop < options_.hops_max && begin < steps_.size(); ++hop) {
      const size_t end = steps_.size();
      best_.clear();
      for (size_t from = begin; from < end; ++from) {
        LB_TRY(Expand(static_cast<uint32_t>(from)));
      }
      begin = end;
      for (size_t step = begin; options_.best_only && step < steps_.size(); ++step) {
        reached_.emplace(steps_[step].node, true);
      }
    }
    return Paths();
  }

 private:
  Status Expand(uint32_t from) {
    const Step origin = steps_[from];
    filter_.ForEach(origin.node, [&](uint32_t edge, uint32_t neighbour) {
      if (!count_.Next()) {
        return false;
      }
      const double weight = options_.weighted ? filter_.graph().RecordOf(edge).weight : 1;
      const Step next{from, edge, neighbour, ScoreAfter(origin.score, weight, options_.decay)};
      options_.best_only ? KeepBest(next) : KeepIfNew(next);
      return true;
    });
    if (count_.status().ok() && !options_.limit && steps_.size() - 1 > limits::kGraphPathsMax) {
      return ResourceExhausted("there are more than " + std::to_string(limits::kGraphPathsMax) +
                               " paths: ask for fewer hops, for certain predicates, for a limit, or for the best only");
    }
    return count_.status();
  }

  void KeepIfNew(const Step& next) {
    for (uint32_t step = next.before; step != kNone; step = steps_[step].before) {
      if (steps_[step].node == next.node) {
        return;
      }
    }
    steps_.push_back(next);
  }

  void KeepBest(const Step& next) {
    if (next.node == start_ || reached_.contains(next.node)) {
      return;
    }
    const auto [place, is_new] = best_.try_emplace(next.node, static_cast<uint32_t>(steps_.size()));
    if (is_new) {
      steps_.push_back(next);
    } else if (steps_[place->second].score < next.score) {
      steps_[place->second] = next;
    }
  }

  std::vector<Path> Paths() const {
    std::vector<uint32_t> ends(steps_.size() - 1);
    for (size_t i = 0; i < ends.size(); ++i) {
      ends[i] = static_cast<uint32_t>(i + 1);
    }
    if (options_.limit) {
      std::stable_sort(ends.begin(), ends.end(),
                       [&](uint32_t a, uint32_t b) { return steps_[a].score > steps_[b].score; });
      ends.resize(std::min<size_t>(ends.size(), *options_.limit));
    }
    std::vector<Path> paths;
    paths.reserve(ends.size());
    for (const uint32_t end : ends) {
      Path& path = paths.emplace_back();
      path.score = steps_[end].score;
      for (uint32_t step = end; step != kNone; step = steps_[step].before) {
        path.nodes.push_back(steps_[step].node);
        if (steps_[step].edge != kNone) {
          path.edges.push_back(steps_[step].edge);
        }
      }
      std::reverse(path.nodes.begin(), path.nodes.end());
      std::reverse(path.edges.begin(), path.edges.end());
    }
    return paths;
  }

  const EdgeFilter& filter_;
  const uint32_t start_;
  const TraverseOptions& options_;
  StepCount count_;
  std::vector<Step> steps_;
  tsl::robin_map<uint32_t, uint32_t> best_;  // of this hop: the step that reaches a node
  tsl::robin_map<uint32_t, bool> reached_;   // by fewer hops
};

}  // namespace

double ScoreAfter(double score, double weight, double decay) {
  return std::clamp(score * weight * decay, -double{FLT_MAX}, double{FLT_MAX});
}

Result<std::vector<Path>> Traverse(const EdgeFilter& filter, uint32_t start, const TraverseOptions& options,
                                   const Cancellation* cancellation) {
  return Walk(filter, start, options, cancellation).Run();
}

}  // namespace longbow::graph
