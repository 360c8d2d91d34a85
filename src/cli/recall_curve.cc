#include "cli/recall_curve.h"

#include <algorithm>
#include <cmath>

namespace longbow::cli {
namespace {

double QpsOf(const CurvePoint& point, Speed speed) { return speed == Speed::kCpu ? point.qps_cpu : point.qps_wall; }

// Recall of 1 would be infinitely far: as if one answer in 10^5 were wrong.
double MissLog(double recall) { return std::log(std::max(1.0 - recall, 1e-5)); }

}  // namespace

std::optional<double> SpeedAtRecall(std::span<const CurvePoint> curve, double recall, Speed speed) {
  std::vector<CurvePoint> points(curve.begin(), curve.end());
  std::sort(points.begin(), points.end(), [&](const CurvePoint& a, const CurvePoint& b) {
    return a.recall < b.recall || (a.recall == b.recall && QpsOf(a, speed) > QpsOf(b, speed));
  });
  // What remains is the frontier: more recall only for less speed.
  double fastest = 0;
  std::vector<CurvePoint> frontier;
  for (auto point = points.rbegin(); point != points.rend(); ++point) {
    if (QpsOf(*point, speed) > fastest) {
      fastest = QpsOf(*point, speed);
      frontier.push_back(*point);
    }
  }
  std::reverse(frontier.begin(), frontier.end());
  const auto above =
      std::find_if(frontier.begin(), frontier.end(), [&](const CurvePoint& point) { return point.recall >= recall; });
  if (above == frontier.end()) {
    return std::nullopt;
  }
  if (above == frontier.begin()) {
    return QpsOf(*above, speed);
  }
  const CurvePoint& below = *(above - 1);
  const double span = MissLog(above->recall) - MissLog(below.recall);
  const double share = span == 0 ? 1 : (MissLog(recall) - MissLog(below.recall)) / span;
  const double from = std::log(QpsOf(below, speed));
  return std::exp(from + share * (std::log(QpsOf(*above, speed)) - from));
}

Spread SpreadOf(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t n = values.size();
  const double median = n % 2 == 1 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
  return {median, values.front(), values.back()};
}

}  // namespace longbow::cli
