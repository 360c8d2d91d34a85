// The last step of a search on codes: the best candidates by their exact distances.
#pragma once

#include <span>
#include <vector>

#include "index/code_space.h"
#include "index/search_pool.h"
#include "index/vector_index.h"
#include "index/vector_rows.h"

namespace longbow::index {

// How many candidates are ranked exactly so that the errors of their codes do not cost results.
inline size_t RankedRowsFor(size_t k, const CodeSpace& space) {
  return (k + (k < 16 ? 6 : k / 4)) * space.rank_factor();
}

// query: made for the rows' type. At most k, nearest first, each id once.
std::vector<Neighbor> RankExactly(const VectorRows& rows, const TypedQuery& query, std::span<const PoolKey> candidates,
                                  size_t k);

}  // namespace longbow::index
