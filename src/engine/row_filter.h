// Predicate x version -> the rows of a segment that a reader is after.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "engine/selection_cache.h"
#include "engine/view.h"
#include "filter/evaluate.h"
#include "filter/index_answers.h"

namespace longbow::engine {

// One predicate on one segment: what is known before any row is looked at, then which rows pass. Uses the segment's
// filter indexes for the rows they cover and reads the columns of the others. Borrows the view; one request's.
class SegmentFilter {
 public:
  // Notes the use of the columns, so that indexes come into being.
  SegmentFilter(const SegmentView& segment, const filter::BoundPredicate& predicate);

  // The share of rows that pass, 0 to 1, by counts of the indexes and a few rows looked at.
  double EstimateSelectivity() const;
  // Whether the indexes alone tell which rows pass, for nearly all of them.
  bool indexed() const { return answers_.covered_rows() >= segment_.rows - segment_.rows / 8; }
  std::optional<filter::OrderedRange> NarrowestRange() const { return answers_.NarrowestRange(); }

  // Rows that pass, whether they live or not.
  Selection Passing();
  // Whether one row passes, by its columns.
  bool Passes(uint32_t row) const;

 private:
  const SegmentView& segment_;
  const filter::BoundPredicate& predicate_;
  filter::IndexAnswers answers_;
};

// The same, kept with the segment under the predicate's key (SelectionCache::KeyOf).
std::shared_ptr<const Selection> SelectionOf(const SegmentView& segment, const filter::BoundPredicate& predicate,
                                             const std::string& key);
std::shared_ptr<const Selection> SelectionOf(const SegmentView& segment, SegmentFilter& filter, const std::string& key);

// Rows of `segment` that live in `view` and pass the predicate.
Selection SelectLive(const View& view, const SegmentView& segment, const filter::BoundPredicate& predicate);

// The ids that are all a filter asks for (= or in on the id column), so that they can be looked up; none if it asks for
// anything else.
std::optional<std::vector<RowKey>> AskedIds(const CollectionSchema& schema, const Predicate& filter);

}  // namespace longbow::engine
