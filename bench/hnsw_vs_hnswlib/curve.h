// A recall-speed curve and what can be read off it.
#pragma once

#include <cmath>
#include <cstdint>
#include <optional>
#include <vector>

namespace longbow::bench {

struct Point {
  uint32_t ef = 0;
  double recall = 0;        // at k
  double microseconds = 0;  // thread CPU time of a query
};

// Time at a recall, linear between neighbouring points in log(1 - recall), as recall curves nearly are. Nothing if the
// curve does not reach it; the first point's time if that is beyond it already.
inline std::optional<double> MicrosecondsAt(const std::vector<Point>& curve, double recall) {
  const auto distance = [](double r) { return std::log(1.0 - r + 1e-6); };
  for (size_t i = 0; i < curve.size(); ++i) {
    if (curve[i].recall < recall) {
      continue;
    }
    if (i == 0) {
      return curve[0].microseconds;
    }
    const double share = (distance(recall) - distance(curve[i - 1].recall)) /
                         (distance(curve[i].recall) - distance(curve[i - 1].recall));
    return curve[i - 1].microseconds + share * (curve[i].microseconds - curve[i - 1].microseconds);
  }
  return std::nullopt;
}

}  // namespace longbow::bench
