// An edge of a collection's graph, as clients give it and get it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "model/row_key.h"

namespace longbow {

// From one id to another; either may be the id of a row that is yet to be put, or of none at all. Subject, predicate
// and object identify it.
struct Edge {
  RowKey subject;
  std::string predicate;
  RowKey object;
  float weight = 1;  // finite

  bool operator==(const Edge&) const = default;
};

// The same as clients write it; the collection says what its ids are.
struct EdgeRequest {
  std::string subject;
  std::string predicate;
  std::string object;
  double weight = 1;
};

// Where spreading activation begins.
struct SeedRequest {
  std::string id;
  double activation = 1;
};

enum class EdgeDirection : uint8_t { kOut, kIn, kBoth };

// Which edges are followed.
struct EdgeSelection {
  EdgeDirection direction = EdgeDirection::kOut;
  std::vector<std::string> predicates;  // empty: all
};

struct TraverseOptions {
  EdgeSelection edges;
  uint32_t hops_max = 2;
  double decay = 0.5;             // a path's score: the product, over its edges, of the weight and this
  bool weighted = true;           // false: of this alone
  std::optional<uint32_t> limit;  // the best by score; without one all come back, in the order of their hops
  bool best_only = false;         // one path for each node that is reached: of the shortest the one of the best score
};

struct SpreadOptions {
  EdgeSelection edges;
  uint32_t hops_max = 1;
  double decay = 0.5;  // of what a node got in one hop this share, times the weight, goes to each neighbour in the next
  bool weighted = true;  // false: weights do not count
  double threshold = 0;  // less than this is not passed on; above 0, what goes round in circles ends
};

}  // namespace longbow
