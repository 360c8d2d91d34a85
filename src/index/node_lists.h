// hot path: the links of a graph that takes no more rows, for walks by int8 rows. Budget: memory.
#pragma once

#include <cstring>

#include "index/code_walk.h"
#include "index/final_links.h"
#include "index/prefetch.h"

namespace longbow::index {

// Lists of FinalLinks::kDegree ids that stand `ids_offset` bytes from the beginning of their int8 row. Borrows the
// rows.
class NodeLists {
 public:
  static constexpr size_t kNeighborsMax = FinalLinks::kDegree;

  NodeLists(const CodeArray& codes, size_t ids_offset, LocalId rows_end)
      : codes_(codes), ids_offset_(ids_offset), rows_end_(rows_end) {}

  LocalId rows_end() const { return rows_end_; }
  // See WalkCodes.
  size_t Collect(LocalId id, CodeWalkScratch& scratch) const {
    LocalId neighbors[FinalLinks::kDegree];
    std::memcpy(neighbors, codes_.row(id) + ids_offset_, sizeof(neighbors));
    size_t n = 0;
    for (const LocalId neighbor : neighbors) {
      if (scratch.visited.Mark(neighbor)) {
        PrefetchLines(codes_.row(neighbor), CodeArray::RowBytes(codes_.dimension));
        scratch.ids[n++] = neighbor;
      }
    }
    return n;
  }
  // The node's row was read when it was seen.
  void Prefetch(LocalId id) const { PrefetchLines(codes_.row(id) + ids_offset_, kNeighborsMax * sizeof(LocalId)); }

 private:
  const CodeArray codes_;
  const size_t ids_offset_;
  const LocalId rows_end_;
};

}  // namespace longbow::index
