// Spreading activation: how much of what some nodes have arrives at others.
#pragma once

#include <cstdint>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "graph/edge_filter.h"

namespace longbow::graph {

struct Activation {
  uint32_t node = kNone;
  double value = 0;
};

// What every node reached has in the end, its seed included, the most first, equal ones by the order they were
// reached (Collins and Loftus, A spreading-activation theory of semantic processing, Psychological Review 82, 1975;
// pulses with decay and threshold as in Crestani, Application of spreading activation techniques in information
// retrieval, 1997). RESOURCE_EXHAUSTED beyond limits::kGraphStepsMax edges; CANCELLED, DEADLINE_EXCEEDED. Thread safe.
Result<std::vector<Activation>> Spread(const EdgeFilter& filter, const std::vector<Activation>& seeds,
                                       const SpreadOptions& options, const Cancellation* cancellation);

}  // namespace longbow::graph
