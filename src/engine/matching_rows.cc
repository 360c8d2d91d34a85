#include "engine/matching_rows.h"

#include <arrow/record_batch.h>

#include <bit>

#include "engine/row_filter.h"

namespace longbow::engine {
namespace {

// Every segment's live rows that pass, one after another.
template <typename Visit>
Status VisitMatching(const View& view, const Predicate& filter, const Cancellation* cancellation, const Visit& visit) {
  LB_ASSIGN(const filter::BoundPredicate predicate, filter::BoundPredicate::Bind(filter, *view.schema->columns));
  for (const SegmentView& segment : view.segments) {
    if (cancellation != nullptr) {
      LB_TRY(cancellation->Check());
    }
    visit(segment, SelectLive(view, segment, predicate));
  }
  return {};
}

}  // namespace

Result<uint64_t> CountMatching(const Shard& shard, const Predicate& filter, const Cancellation* cancellation) {
  std::shared_ptr<const View> view = shard.PinNow();
  if (filter.MatchesAll()) {
    return view->CountLive();
  }
  if (const auto keys = AskedIds(*view->schema, filter)) {
    return shard.LocateAll(*keys).ordinals.size();
  }
  uint64_t count = 0;
  LB_TRY(VisitMatching(*view, filter, cancellation,
                       [&](const SegmentView&, const Selection& selection) { count += selection.count; }));
  return count;
}

Result<MatchingRows> FindMatching(const Shard& shard, const Predicate& filter, const Cancellation* cancellation) {
  MatchingRows matching{shard.PinNow(), {}};
  if (const auto keys = AskedIds(*matching.view->schema, filter)) {
    Shard::LocatedAll located = shard.LocateAll(*keys);
    return MatchingRows{std::move(located.view), std::move(located.ordinals)};
  }
  LB_TRY(
      VisitMatching(*matching.view, filter, cancellation, [&](const SegmentView& segment, const Selection& selection) {
        for (size_t word = 0; word < selection.bits.size(); ++word) {
          for (uint64_t rest = selection.bits[word]; rest != 0; rest &= rest - 1) {
            const auto row = static_cast<uint32_t>(word * 64 + static_cast<size_t>(std::countr_zero(rest)));
            matching.ordinals.push_back(segment.segment->OrdinalOf(row));
          }
        }
      }));
  return matching;
}

std::vector<RowKey> KeysOf(const View& view, const std::vector<uint64_t>& ordinals) {
  std::vector<RowKey> keys;
  keys.reserve(ordinals.size());
  for (const uint64_t ordinal : ordinals) {
    if (view.schema->id_column < 0) {
      keys.emplace_back(ordinal);
      continue;
    }
    const View::Place place = view.Find(ordinal);
    const Chunk& chunk = place.segment->chunks.Find(place.row);
    keys.push_back(KeyAt(*chunk.rows->column(view.schema->id_column), place.row - chunk.first_row));
  }
  return keys;
}

}  // namespace longbow::engine
