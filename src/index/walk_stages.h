// How far a walk looks that was asked for a recall, and not for an ef.
#pragma once

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace longbow::index {

// A walk by this rule stops after a first, short stretch, looks how hard the query is, and goes on to the ef that
// queries as hard as it need. That the effort belongs to the single query and has to be learned from examples is from
// LAET (Li et al., SIGMOD 2020) and DARTH (Chatzakis et al., arXiv 2505.19001); the measure of hardness is ours, see
// WalkStages::Spread. Where the numbers come from: recall_model.h.
struct StopRule {
  static constexpr size_t kClasses = 8;

  uint32_t ef_first = 20;
  std::array<float, kClasses - 1> spread_below{};  // descending: class i + 1 begins below spread_below[i]
  std::array<uint32_t, kClasses> ef{};             // of each class, easiest first

  size_t ClassOf(float spread) const {
    size_t found = 0;
    while (found + 1 < kClasses && spread < spread_below[found]) {
      ++found;
    }
    return found;
  }
};

// Where one walk stands. One thread.
class WalkStages {
 public:
  // Without a rule (null) the walk ends at `ef`. Borrows the rule.
  void Start(const StopRule* rule, size_t ef) {
    rule_ = rule;
    ef_ = rule == nullptr ? ef : std::max<size_t>(rule->ef_first, 1);
    steps_ = 0;
    spread_ = 0;
  }

  // The nearest rows of the pool that are expanded in this stage.
  size_t ef() const { return ef_; }
  // Room in the pool: the second stage begins with what the first has seen.
  size_t capacity() const { return rule_ == nullptr ? ef_ : kRoomFactor * ef_; }
  void CountStep() { ++steps_; }
  size_t steps() const { return steps_; }
  float spread() const { return spread_; }

  // How far apart the rows found first are, as a share of how much nearer the query is to the `nearest` of them than to
  // `middle` of the segment; all are keys, `last` that of the farthest. Little: many rows are about as near, so more of
  // them have to be looked at.
  static float Spread(float nearest, float last, float middle) {
    const float descent = middle - nearest;
    return descent > 0 ? std::clamp((last - nearest) / descent, 0.0f, 1.0f) : 0;
  }

  // A walk without a rule that finds only the rows that pass a predicate among those it expands. The second stage
  // looks as much further as fewer of them pass than without a predicate: that differs from query to query where the
  // predicate has to do with the vectors.
  static constexpr double kPassingExponent = 0.55;    // measured: 0.5 asks for 1.4 times the ef, 0.3 for 2 times
  static constexpr double kPassingShareMin = 0.0625;  // less is not made up for
  static constexpr double kPassingRoomFactor = 1.1;   // of the pool, over what is expected
  static double MoreForPassing(double share) {
    return std::pow(std::clamp(share, kPassingShareMin, 1.0), -kPassingExponent);
  }
  // Room in the pool for both stages where `share` of all rows passes.
  size_t CapacityForPassing(double share) const {
    return static_cast<size_t>(kPassingRoomFactor * MoreForPassing(share) * static_cast<double>(ef_)) + 1;
  }
  // In the place of GoOn; `share`: of the ef() nearest rows, that passes.
  bool GoOnForPassing(double share) {
    const auto more = static_cast<size_t>(static_cast<double>(ef_) * MoreForPassing(share));
    const bool is_wider = more > ef_;
    ef_ = std::max(more, ef_);
    return is_wider;
  }

  // To be asked when the ef() nearest rows are expanded; true: there is a second stage.
  bool GoOn(float spread) {
    if (rule_ == nullptr) {
      return false;
    }
    spread_ = spread;
    const size_t ef = rule_->ef[rule_->ClassOf(spread)];
    rule_ = nullptr;
    const bool more = ef > ef_;
    ef_ = std::max(ef, ef_);
    return more;
  }

 private:
  static constexpr size_t kRoomFactor = 4;

  const StopRule* rule_ = nullptr;  // null: in the last stage
  size_t ef_ = 0;
  size_t steps_ = 0;
  float spread_ = 0;
};

}  // namespace longbow::index
