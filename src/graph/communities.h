// Groups of nodes with more edges among them than chance would give.
#pragma once

#include <cstdint>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "graph/edge_graph.h"

namespace longbow::graph {

struct Communities {
  std::vector<uint32_t> community_of;  // [nodes]: from 0, the largest community first; kNone: a node without edges
  std::vector<uint32_t> sizes;         // [communities], descending
  double modularity = 0;               // of the division, -0.5 to 1 (Newman and Girvan, 2004)
};

// By the Louvain method: nodes move to where modularity gains most, then each community becomes one node, until nothing
// moves (Blondel, Guillaume, Lambiotte and Lefebvre, Fast unfolding of communities in large networks, J. Stat. Mech.
// 2008). Edges count both ways, by the size of their weight. The same graph gives the same answer. About 1.5 s for a
// million edges. CANCELLED, DEADLINE_EXCEEDED. Thread safe.
Result<Communities> FindCommunities(const EdgeGraph& graph, uint64_t version, const Cancellation* cancellation);

}  // namespace longbow::graph
