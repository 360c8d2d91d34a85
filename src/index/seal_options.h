// How a graph is sealed.
#pragma once

#include <cstddef>

#include "base/cancellation.h"
#include "index/reserved_memory.h"
#include "index/vector_index.h"

namespace longbow::index {

struct SealOptions {
  size_t threads = 1;
  const RowFilter* living = nullptr;  // rows that belong; null: all
  // For SealedGraph: share of the variance that the codes' dimensions must hold, and the share of all dimensions above
  // which a projection is not worth its cost. A ratio of 0: codes of all dimensions.
  float kept_variance = 0.965f;
  float code_ratio_max = 0.67f;
  ArrayPlace place = {};                       // of the graph and what it is made from
  const Cancellation* cancellation = nullptr;  // checked every few milliseconds by each thread when given
};

}  // namespace longbow::index
