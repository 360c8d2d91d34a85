#include "engine/row_filter.h"

#include <bit>

namespace longbow::engine {

Selection Select(const View& view, const SegmentView& segment, const filter::BoundPredicate& predicate) {
  Selection selection;
  selection.bits.assign((segment.rows + 63) / 64, 0);
  for (const Chunk& chunk : segment.chunks) {
    predicate.Evaluate(*chunk.rows, selection.bits.data(), chunk.first_row);
  }
  const index::RowFilter visible = view.FilterOf(segment);
  for (size_t word = 0; word < selection.bits.size(); ++word) {
    for (uint64_t rest = selection.bits[word]; rest != 0; rest &= rest - 1) {
      const auto row = static_cast<index::LocalId>(word * 64 + static_cast<size_t>(std::countr_zero(rest)));
      if (!visible.Contains(row)) {
        selection.bits[word] &= ~(rest & -rest);
      }
    }
    selection.count += static_cast<uint64_t>(std::popcount(selection.bits[word]));
  }
  return selection;
}

}  // namespace longbow::engine
