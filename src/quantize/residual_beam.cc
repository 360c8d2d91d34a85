#include "quantize/residual_beam.h"

#include <algorithm>
#include <limits>
#include <tuple>

namespace longbow::quantize {

void ResidualBeam::Start() { sums_.assign(1, PartialSum{}); }

void ResidualBeam::Extend(const float* alone, const std::vector<float>& products) {
  const auto cheaper = [](const Candidate& a, const Candidate& b) {
    return std::tie(a.cost, a.parent, a.point) < std::tie(b.cost, b.parent, b.point);
  };
  candidates_.clear();  // a heap, the dearest on top, once it is full
  float limit = std::numeric_limits<float>::infinity();
  float costs[kResidualPoints];
  float crossed[kResidualPoints];
  for (uint32_t parent = 0; parent < sums_.size(); ++parent) {
    const PartialSum& sum = sums_[parent];
    std::fill(crossed, crossed + kResidualPoints, 0.0f);
    for (size_t j = 0; j < sum.points.size(); ++j) {
      const float* row = products.data() + (j * kResidualPoints + sum.points[j]) * kResidualPoints;
      for (size_t point = 0; point < kResidualPoints; ++point) {
        crossed[point] += row[point];
      }
    }
    for (size_t point = 0; point < kResidualPoints; ++point) {
      costs[point] = sum.cost + alone[point] + 2 * crossed[point];
    }
    for (uint32_t point = 0; point < kResidualPoints; ++point) {
      const bool full = candidates_.size() == width_;
      if (full && !(costs[point] < limit)) {
        continue;
      }
      if (full) {
        std::pop_heap(candidates_.begin(), candidates_.end(), cheaper);
        candidates_.pop_back();
      }
      candidates_.push_back({costs[point], parent, point});
      std::push_heap(candidates_.begin(), candidates_.end(), cheaper);
      limit = candidates_.size() == width_ ? candidates_.front().cost : limit;
    }
  }
  std::sort_heap(candidates_.begin(), candidates_.end(), cheaper);
  next_.resize(candidates_.size());
  for (size_t i = 0; i < candidates_.size(); ++i) {
    next_[i].cost = candidates_[i].cost;
    next_[i].points = sums_[candidates_[i].parent].points;
    next_[i].points.push_back(static_cast<uint8_t>(candidates_[i].point));
  }
  sums_.swap(next_);
}

}  // namespace longbow::quantize
