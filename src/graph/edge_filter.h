// Which edges a reader follows.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "graph/edge_graph.h"

namespace longbow::graph {

// Ids that are not to be seen, such as those of rows whose time has come; null: none.
using HiddenNodes = std::function<bool(const RowKey&)>;

// A selection, looked up once in the graph it is used on.
class EdgeFilter {
 public:
  EdgeFilter(const EdgeGraph& graph, uint64_t version, const EdgeSelection& selection, HiddenNodes hidden = nullptr)
      : graph_(graph), version_(version), direction_(selection.direction), hidden_(std::move(hidden)) {
    if (!selection.predicates.empty()) {
      passing_.resize(graph.predicates_end());
      for (const std::string& name : selection.predicates) {
        if (const auto predicate = graph.FindPredicate(name); predicate && *predicate < passing_.size()) {
          passing_[*predicate] = true;
        }
      }
      takes_all_ = false;
    }
  }

  const EdgeGraph& graph() const { return graph_; }

  // Calls visit(edge, neighbour) for the edges of a node that pass; stops once it returns false.
  template <typename Visit>
  void ForEach(uint32_t node, Visit visit) const {
    graph_.ForEach(node, direction_, version_, [&](uint32_t edge, uint32_t neighbour) {
      const uint32_t predicate = graph_.RecordOf(edge).predicate;
      const bool passes = (takes_all_ || (predicate < passing_.size() && passing_[predicate])) &&
                          (!hidden_ || !hidden_(graph_.KeyOf(neighbour)));
      return !passes || visit(edge, neighbour);
    });
  }

 private:
  const EdgeGraph& graph_;
  const uint64_t version_;
  const EdgeDirection direction_;
  const HiddenNodes hidden_;
  bool takes_all_ = true;
  std::vector<bool> passing_;  // by predicate
};

// Counts what a walk looks at: checks for cancellation now and then, and refuses to go on beyond a bound.
class StepCount {
 public:
  StepCount(uint64_t steps_max, const Cancellation* cancellation) : max_(steps_max), cancellation_(cancellation) {}

  // False once the walk is to end; status() says why.
  bool Next() {
    if (++steps_ > max_) {
      status_ = ResourceExhausted("the walk looks at more than " + std::to_string(max_) +
                                  " edges: ask for fewer hops or for certain predicates");
      return false;
    }
    if (steps_ % kStepsBetweenChecks == 0 && cancellation_ != nullptr) {
      status_ = cancellation_->Check();
    }
    return status_.ok();
  }
  const Status& status() const { return status_; }

 private:
  static constexpr uint64_t kStepsBetweenChecks = 512;
  const uint64_t max_;
  const Cancellation* const cancellation_;
  uint64_t steps_ = 0;
  Status status_;
};

}  // namespace longbow::graph
