#include "model/metric.h"

#include <algorithm>
#include <cfloat>
#include <cmath>

namespace longbow {

Result<Metric> ParseMetric(std::string_view name) {
  for (const Metric metric :
       {Metric::kL2, Metric::kCosine, Metric::kInnerProduct, Metric::kHamming, Metric::kJaccard}) {
    if (name == MetricName(metric)) {
      return metric;
    }
  }
  return InvalidArgument("unknown metric \"" + std::string(name) +
                         "\": longbow.metric must be euclidean, cosine, dot_product, hamming or jaccard");
}

std::string_view MetricName(Metric metric) {
  switch (metric) {
    case Metric::kL2:
      return "euclidean";
    case Metric::kCosine:
      return "cosine";
    case Metric::kHamming:
      return "hamming";
    case Metric::kJaccard:
      return "jaccard";
    case Metric::kInnerProduct:
      break;
  }
  return "dot_product";
}

float ScoreOfDistance(Metric metric, double distance) {
  switch (metric) {
    case Metric::kL2:
      return static_cast<float>(1.0 / (1.0 + std::sqrt(distance)));
    case Metric::kCosine:
    case Metric::kJaccard:
      return static_cast<float>(1.0 - distance);
    case Metric::kHamming:
      return static_cast<float>(1.0 / (1.0 + distance));
    case Metric::kInnerProduct:
      break;
  }
  return static_cast<float>(std::clamp(-distance, -static_cast<double>(FLT_MAX), static_cast<double>(FLT_MAX)));
}

}  // namespace longbow
