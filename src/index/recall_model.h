// What a graph has to do for a recall: measured on queries whose exact answers are known.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "index/vector_index.h"
#include "index/vector_rows.h"
#include "model/query_vector.h"

namespace longbow::index {

struct CalibrationOptions {
  RowFilter living;                // rows that a query may find
  std::vector<QueryVector> asked;  // by clients; of the rows' dimension. From queries_per_kind on only these are tried
  uint32_t queries_per_kind = 64;  // of those made up, and at most twice as many of `asked`
  uint64_t seed = 1;
  const Cancellation* cancellation = nullptr;  // checked every few milliseconds when given
};

// A stop rule for each recall: the ef that it takes for queries of each class of hardness. What clients asked is what
// it learns from if there is enough of it. Until then, so that it holds for queries that are not quite like the rows:
//   - rows,
//   - rows moved a quarter and a half of the way to another row,
//   - rows with noise of the rows' own variance added,
// always with the row itself left out of graph and answers. Queries from another world altogether (of another modality,
// say) fall short until some of them were asked. Classes are of about equal size. Immutable, thread safe.
class RecallModel {
 public:
  static constexpr double kTargetMin = 0.5;  // and below 1

  // `rows` are those that the graph is of. Takes about a second of CPU for each 100,000 rows of 384 dimensions. Null if
  // fewer than two rows live. Errors: those of the graph's Search; CANCELLED, DEADLINE_EXCEEDED.
  static Result<std::shared_ptr<const RecallModel>> Calibrate(const VectorIndex& graph, const VectorRows& rows,
                                                              const CalibrationOptions& options);

  // For a mean recall of `target` among k rows. 0.999 is the most that is known how to reach: above it the walk goes on
  // to the widest ef that was tried.
  StopRule RuleFor(uint32_t k, double target) const;
  // The ef of the rule's middle class: where rules do not apply, as in filtered walks, and for estimates of work.
  uint32_t EfFor(uint32_t k, double target) const;

  static constexpr std::array<double, 11> kTargets = {0.5, 0.7, 0.8, 0.9, 0.925, 0.95, 0.97, 0.98, 0.99, 0.995, 0.999};
  // A rule for each of the targets, and last one for all that lies above.
  using Rules = std::array<StopRule, kTargets.size() + 1>;
  // Measured at k = 10 and at k = 100.
  const Rules& few() const { return few_; }
  const Rules& many() const { return many_; }

 private:
  RecallModel(const Rules& few, const Rules& many) : few_(few), many_(many) {}

  const Rules few_;
  const Rules many_;
};

// Where no model was made yet: 128 for .9 and ten rows, 406 for .99, in proportion to k; wide enough for most data, and
// more work than a model would ask for.
uint32_t EfWithoutModel(uint32_t k, double target);

}  // namespace longbow::index
