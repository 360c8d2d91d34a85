// Which of many near rows a row should link to.
#pragma once

#include <vector>

#include "index/link_store.h"
#include "index/vector_rows.h"

namespace longbow::index {

struct LinkCandidate {
  Neighbor neighbor;  // distance from the row that selects
  LinkKind kind = LinkKind::kPlain;
  uint32_t slot = 0;  // the caller's: where the link stands now
};

// Malkov & Yashunin, arXiv 1603.09320, algorithm 4, without extending and without keeping pruned candidates: nearest
// first, a candidate is kept unless a kept one is nearer to it than the selecting row is. Two changes: links of the
// tree are always kept, and of identical rows only a few are. (Strictly nearer alone would keep nothing but copies
// where there are many; "as near" would let one copy of the selecting row prune everything else.)
//
// candidates: sorted, nearest first; at most `max` of them are tree links. Returns at most `max`, nearest first, in
// *kept.
void SelectNeighbors(const VectorRows& rows, const std::vector<LinkCandidate>& candidates, size_t max,
                     std::vector<LinkCandidate>* kept);

}  // namespace longbow::index
