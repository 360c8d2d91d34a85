#include "index/calibration_queries.h"

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <memory>
#include <random>

#include "index/nearest_heap.h"
#include "index/query_distance.h"

namespace longbow::index {
namespace {

constexpr size_t kBlockBytes = 256 << 10;  // of rows that all queries are compared to while they are in the cache

class QueryMaker {
 public:
  QueryMaker(const VectorRows& rows, const CalibrationOptions& options, std::vector<CalibrationQuery>* queries)
      : rows_(rows), options_(options), random_(options.seed), queries_(queries) {
    const RowFilter& living = options.living;
    for (LocalId id = living.begin; id < living.end; ++id) {
      if (living.Contains(id)) {
        living_.push_back(id);
      }
    }
    if (!living_.empty()) {
      FindMoments();
    }
  }

  size_t living() const { return living_.size(); }

  Status AddRows() {
    for (uint32_t i = 0; i < options_.queries_per_kind; ++i) {
      const LocalId id = Draw();
      LB_TRY(Add(NumbersOfRow(id), id));
    }
    return {};
  }

  Status AddMixed(double weight) {
    for (uint32_t i = 0; i < options_.queries_per_kind; ++i) {
      const LocalId id = Draw();
      std::vector<double> numbers = NumbersOfRow(id);
      const std::vector<double> other = NumbersOfRow(Draw());
      for (size_t d = 0; d < numbers.size(); ++d) {
        numbers[d] += weight * (other[d] - numbers[d]);
      }
      LB_TRY(Add(std::move(numbers), id));
    }
    return {};
  }

  Status AddNoisy(double scale) {
    std::normal_distribution<double> normal;
    for (uint32_t i = 0; i < options_.queries_per_kind; ++i) {
      const LocalId id = Draw();
      std::vector<double> numbers = NumbersOfRow(id);
      for (size_t d = 0; d < numbers.size(); ++d) {
        numbers[d] += scale * deviations_[d] * normal(random_);
      }
      LB_TRY(Add(std::move(numbers), id));
    }
    return {};
  }

  Status AddAsked() {
    const std::vector<QueryVector>& asked = options_.asked;
    const size_t count = std::min<size_t>(asked.size(), size_t{2} * options_.queries_per_kind);
    for (size_t i = asked.size() - count; i < asked.size(); ++i) {
      LB_ASSIGN(TypedQuery query, TypedQuery::For(rows_.type(), rows_.metric(), asked[i]));
      queries_->push_back({std::move(query), kNoRow, {}});
    }
    return {};
  }

 private:
  LocalId Draw() { return living_[random_() % living_.size()]; }

  std::vector<double> NumbersOfRow(LocalId id) const {
    return NumbersOf(rows_.type(), rows_.bytes(id), rows_.dimension()).numbers();
  }

  // Of each element, over a few hundred rows.
  void FindMoments() {
    constexpr size_t kSample = 256;
    std::vector<double> sum(rows_.dimension());
    std::vector<double> squares(rows_.dimension());
    for (size_t i = 0; i < kSample; ++i) {
      const std::vector<double> numbers = NumbersOfRow(Draw());
      for (size_t d = 0; d < numbers.size(); ++d) {
        sum[d] += numbers[d] / kSample;
        squares[d] += numbers[d] * numbers[d] / kSample;
      }
    }
    for (size_t d = 0; d < sum.size(); ++d) {
      squares[d] = std::sqrt(std::max(0.0, squares[d] - sum[d] * sum[d]));
    }
    deviations_ = std::move(squares);
  }

  // A query is within float32, whatever was done to the rows it is of.
  Status Add(std::vector<double> numbers, LocalId left_out) {
    for (double& number : numbers) {
      number = std::isfinite(number) ? std::clamp<double>(number, -FLT_MAX, FLT_MAX) : 0;
    }
    LB_ASSIGN(TypedQuery query, TypedQuery::For(rows_.type(), rows_.metric(), QueryVector(std::move(numbers))));
    queries_->push_back({std::move(query), left_out, {}});
    return {};
  }

  const VectorRows& rows_;
  const CalibrationOptions& options_;
  std::mt19937_64 random_;
  std::vector<LocalId> living_;
  std::vector<double> deviations_;  // [dimension]
  std::vector<CalibrationQuery>* const queries_;
};

}  // namespace

Result<std::vector<CalibrationQuery>> MakeCalibrationQueries(const VectorRows& rows,
                                                             const CalibrationOptions& options) {
  std::vector<CalibrationQuery> queries;
  QueryMaker maker(rows, options, &queries);
  if (maker.living() < 2) {
    return queries;
  }
  LB_TRY(maker.AddAsked());
  if (options.asked.size() >= options.queries_per_kind) {
    return queries;
  }
  LB_TRY(maker.AddRows());
  LB_TRY(maker.AddMixed(0.25));
  LB_TRY(maker.AddMixed(0.5));
  LB_TRY(maker.AddNoisy(1.0));
  return queries;
}

Status FindNearest(const VectorRows& rows, size_t k, const CalibrationOptions& options,
                   std::vector<CalibrationQuery>& queries) {
  const RowFilter& living = options.living;
  std::vector<std::unique_ptr<QueryDistance>> distances;
  std::vector<NearestHeap<Neighbor>> heaps;
  for (const CalibrationQuery& query : queries) {
    distances.push_back(std::make_unique<QueryDistance>(rows, query.query));
    heaps.emplace_back(k);
  }
  const auto block_rows = static_cast<LocalId>(std::max<size_t>(1, kBlockBytes / rows.row_bytes()));
  std::vector<double> block(block_rows);
  std::vector<uint8_t> lives(block_rows);
  for (LocalId begin = living.begin; begin < living.end; begin += block_rows) {
    if (options.cancellation != nullptr) {
      LB_TRY(options.cancellation->Check());
    }
    const LocalId n = std::min(block_rows, living.end - begin);
    for (LocalId i = 0; i < n; ++i) {
      lives[i] = living.Contains(begin + i) ? 1 : 0;
    }
    for (size_t q = 0; q < queries.size(); ++q) {
      distances[q]->ToRange(begin, n, block.data());
      for (LocalId i = 0; i < n; ++i) {
        if (block[i] <= heaps[q].bound().distance && lives[i] != 0 && begin + i != queries[q].left_out) {
          heaps[q].Add({block[i], begin + i});
        }
      }
    }
  }
  for (size_t q = 0; q < queries.size(); ++q) {
    for (const Neighbor& neighbor : heaps[q].TakeNearest(k)) {
      queries[q].nearest.push_back(neighbor.distance);
    }
  }
  return {};
}

}  // namespace longbow::index
