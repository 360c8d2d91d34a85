#include "quantize/rabitq_grid.h"

#include <algorithm>
#include <cmath>

namespace longbow::quantize {
namespace {

constexpr size_t kLanes = 16;

// Trials of how many steps of the grid the largest component spans, in parts of the grid's half: a grid that is too
// small cuts the largest components off, which pays when they are rare.
constexpr double kSpanLeast = 0.85;
constexpr double kSpanMost = 4.5;
constexpr double kCoarseRatio = 1.2;
constexpr double kFineRatio = 1.045;
constexpr int kFineTrials = 3;  // on either side of the best coarse one

struct Fit {
  double inner_product = 0;
  double squared_norm = 0;

  double Cosine() const { return squared_norm > 0 ? inner_product / std::sqrt(squared_norm) : 0; }
};

// The fit of the point whose components are min(floor(|x| * scale), top) + 1/2.
Fit FitOf(const float* direction, size_t size, float scale, float top) {
  float inner[kLanes] = {};
  float norm[kLanes] = {};
  for (size_t i = 0; i < size; i += kLanes) {
    for (size_t lane = 0; lane < kLanes; ++lane) {
      const float magnitude = std::fabs(direction[i + lane]);
      const float place = std::min(magnitude * scale, top);
      const float component = static_cast<float>(static_cast<int32_t>(place)) + 0.5f;
      inner[lane] += component * magnitude;
      norm[lane] += component * component;
    }
  }
  Fit fit;
  for (size_t lane = 0; lane < kLanes; ++lane) {
    fit.inner_product += inner[lane];
    fit.squared_norm += norm[lane];
  }
  return fit;
}

float BestScale(const float* direction, size_t size, float largest, float half) {
  const float unit = half / largest;
  const float top = half - 1;
  double best_span = 1;
  double best_cosine = -1;
  const auto consider = [&](double span) {
    const double cosine = FitOf(direction, size, static_cast<float>(span) * unit, top).Cosine();
    if (cosine > best_cosine) {
      best_cosine = cosine;
      best_span = span;
    }
  };
  for (double span = kSpanLeast; span < kSpanMost; span *= kCoarseRatio) {
    consider(span);
  }
  const double coarse = best_span;
  for (int trial = 1; trial <= kFineTrials; ++trial) {
    consider(coarse * std::pow(kFineRatio, trial));
    consider(coarse / std::pow(kFineRatio, trial));
  }
  return static_cast<float>(best_span) * unit;
}

}  // namespace

GridPoint NearestGridPoint(const float* direction, size_t size, uint32_t bits, uint8_t* numbers) {
  const auto half = static_cast<float>(1u << (bits - 1));
  float largest = 0;
  for (size_t i = 0; i < size; ++i) {
    largest = std::max(largest, std::fabs(direction[i]));
  }
  // Below the smallest normal number no scale can be formed.
  const bool is_zero = largest < 1e-30f;
  const float scale = bits == 1 || is_zero ? 0 : BestScale(direction, size, largest, half);
  const float top = half - 1;
  for (size_t i = 0; i < size; ++i) {
    const auto magnitude = static_cast<int>(std::min(std::fabs(direction[i]) * scale, top));
    const int upper = static_cast<int>(half) + magnitude;
    numbers[i] = static_cast<uint8_t>(direction[i] < 0 ? 2 * static_cast<int>(half) - 1 - upper : upper);
  }
  if (is_zero) {
    return {};
  }
  const Fit fit = FitOf(direction, size, scale, top);
  return {fit.inner_product, fit.squared_norm};
}

}  // namespace longbow::quantize
