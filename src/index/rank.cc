#include "index/rank.h"

#include <algorithm>

#include "index/query_distance.h"

namespace longbow::index {

std::vector<Neighbor> RankExactly(const VectorRows& rows, const TypedQuery& query, std::span<const PoolKey> candidates,
                                  size_t k) {
  const size_t n = candidates.size();
  std::vector<LocalId> ids(n);
  std::vector<double> distances(n);
  for (size_t i = 0; i < n; ++i) {
    ids[i] = IdOfKey(candidates[i]);
  }
  rows.ReadAhead(ids.data(), n);
  QueryDistance(rows, query).ToIds(ids.data(), n, distances.data());
  std::vector<Neighbor> ranked(n);
  for (size_t i = 0; i < n; ++i) {
    ranked[i] = {distances[i], ids[i]};
  }
  std::sort(ranked.begin(), ranked.end());
  ranked.resize(std::min(k, n));
  return ranked;
}

}  // namespace longbow::index
