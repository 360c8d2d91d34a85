// Which of the rows near a row become its neighbours.
#pragma once

#include <array>
#include <span>
#include <vector>

#include "index/row_codes.h"
#include "index/slack_links.h"

namespace longbow::index {

struct PruneOptions {
  size_t keep_max = 32;
  // An edge falls when a kept neighbour is nearer to its end than the row itself, by this factor. 1: the relative
  // neighbourhood graph, as NSG has it (Fu et al., VLDB 2019); more keeps longer edges beside shorter ones.
  float factor = 1.0f;
};

// By which the room that is left in a list is filled, before the nearest fill it.
inline constexpr float kRelaxedPruneFactor = 1.2f;

// Used by one thread; reusable.
class Pruner {
 public:
  // edges: of row `self`, nearest first, distinct. Afterwards kept() and dropped() hold all of them, each with the rows
  // that equal `self` first, then nearest first. Of equal rows only a few are kept, which ones depends on self:
  // thousands of copies would otherwise keep nothing but each other, and all of them the same few.
  void Prune(const RowCodes& codes, LocalId self, std::span<Edge> edges, const PruneOptions& options);
  // Whether one of the kept is nearer to edge's end, by the factor, than the row is.
  bool Occluded(const RowCodes& codes, std::span<const Edge> kept, const Edge& edge, float factor);

  std::vector<Edge>& kept() { return kept_; }
  std::vector<Edge>& dropped() { return dropped_; }

 private:
  // Returns how many.
  size_t PutEqualFirst(const RowCodes& codes, LocalId self, std::span<Edge> edges);

  RowProbe probe_;
  std::vector<Edge> kept_;
  std::vector<Edge> dropped_;
};

}  // namespace longbow::index
