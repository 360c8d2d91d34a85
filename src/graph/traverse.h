// Paths from a node.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "graph/edge_filter.h"

namespace longbow::graph {

struct Path {
  std::vector<uint32_t> nodes;  // from the start; no node twice
  std::vector<uint32_t> edges;  // one less
  double score = 1;
};

// The paths of 1 to hops_max edges from `start` at a version, breadth first, edges in the order they were added. Empty
// if nothing leads on from it. RESOURCE_EXHAUSTED if more than limits::kGraphPathsMax would come back without a limit,
// or limits::kGraphStepsMax edges are looked at; CANCELLED, DEADLINE_EXCEEDED. Thread safe.
Result<std::vector<Path>> Traverse(const EdgeFilter& filter, uint32_t start, const TraverseOptions& options,
                                   const Cancellation* cancellation);

// score x weight x decay, held within float so that no path of whatever edges ends in infinity or NaN.
double ScoreAfter(double score, double weight, double decay);

}  // namespace longbow::graph
