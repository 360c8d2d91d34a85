#include "model/metric.h"

namespace longbow {

Result<Metric> ParseMetric(std::string_view name) {
  for (const Metric metric : {Metric::kL2, Metric::kCosine, Metric::kInnerProduct}) {
    if (name == MetricName(metric)) {
      return metric;
    }
  }
  return InvalidArgument("unknown metric \"" + std::string(name) +
                         "\": longbow.metric must be euclidean, cosine or dot_product");
}

std::string_view MetricName(Metric metric) {
  switch (metric) {
    case Metric::kL2:
      return "euclidean";
    case Metric::kCosine:
      return "cosine";
    case Metric::kInnerProduct:
      break;
  }
  return "dot_product";
}

}  // namespace longbow
