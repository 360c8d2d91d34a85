// Metrics as the command line names them.
#pragma once

#include <string_view>

#include "base/status.h"
#include "model/metric.h"

namespace longbow::cli {

// ip, l2 or cosine. INVALID_ARGUMENT if the flag is missing (empty).
inline Result<Metric> MetricOfWord(std::string_view word) {
  if (word == "ip") {
    return Metric::kInnerProduct;
  }
  if (word == "cosine") {
    return Metric::kCosine;
  }
  return word == "l2" ? Result<Metric>(Metric::kL2) : InvalidArgument("flag --metric is missing: ip, l2 or cosine");
}

}  // namespace longbow::cli
