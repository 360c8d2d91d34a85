#include "engine/row_filter.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <bit>

namespace longbow::engine {
namespace {

constexpr uint32_t kSampleRuns = 16;
constexpr int64_t kSampleRunRows = 64;

std::vector<filter::SampleRows> SampleOf(const SegmentView& segment) {
  std::vector<filter::SampleRows> sample;
  for (uint32_t i = 0; i < kSampleRuns && segment.rows > 0; ++i) {
    const auto row = static_cast<uint32_t>(uint64_t{segment.rows} * (2 * i + 1) / (2 * kSampleRuns));
    const Chunk& chunk = segment.chunks.Find(row);
    const int64_t begin = row - chunk.first_row;
    sample.push_back({chunk.rows.get(), begin, std::min(kSampleRunRows, chunk.rows->num_rows() - begin)});
  }
  return sample;
}

void CountBits(Selection* selection) {
  selection->count = 0;
  for (const uint64_t word : selection->bits) {
    selection->count += static_cast<uint64_t>(std::popcount(word));
  }
}

}  // namespace

SegmentFilter::SegmentFilter(const SegmentView& segment, const filter::BoundPredicate& predicate)
    : segment_(segment), predicate_(predicate), answers_(predicate, segment.segment->filters().index().current()) {
  segment.segment->filters().index().NoteUse(predicate);
}

double SegmentFilter::EstimateSelectivity() const {
  return answers_.EstimateSelectivity(answers_.covered_rows() > 0 ? std::vector<filter::SampleRows>()
                                                                  : SampleOf(segment_));
}

Selection SegmentFilter::Passing() {
  Selection selection;
  selection.rows = segment_.rows;
  selection.bits.assign((segment_.rows + 63) / 64, 0);
  answers_.Materialise();
  const uint32_t covered = std::min(answers_.covered_rows(), segment_.rows);
  answers_.Fill(selection.bits.data(), covered);
  if (covered < segment_.rows) {
    for (const Chunk* chunk = &segment_.chunks.Find(covered); chunk != segment_.chunks.end(); ++chunk) {
      predicate_.Evaluate(*chunk->rows, selection.bits.data(), chunk->first_row, &answers_);
    }
  }
  CountBits(&selection);
  return selection;
}

bool SegmentFilter::Passes(uint32_t row) const {
  const Chunk& chunk = segment_.chunks.Find(row);
  uint64_t bit = 0;
  predicate_.Evaluate(*chunk.rows->Slice(row - chunk.first_row, 1), &bit, 0);
  return bit != 0;
}

std::shared_ptr<const Selection> SelectionOf(const SegmentView& segment, SegmentFilter& filter,
                                             const std::string& key) {
  SelectionCache& selections = segment.segment->filters().selections();
  std::shared_ptr<const Selection> selection = selections.Find(key, segment.rows);
  if (selection == nullptr) {
    selection = std::make_shared<const Selection>(filter.Passing());
    selections.Keep(key, selection);
  }
  return selection;
}

std::shared_ptr<const Selection> SelectionOf(const SegmentView& segment, const filter::BoundPredicate& predicate,
                                             const std::string& key) {
  SegmentFilter filter(segment, predicate);
  return SelectionOf(segment, filter, key);
}

Selection SelectLive(const View& view, const SegmentView& segment, const filter::BoundPredicate& predicate) {
  Selection selection = SegmentFilter(segment, predicate).Passing();
  const index::RowFilter visible = view.FilterOf(segment);
  for (size_t word = 0; word < selection.bits.size(); ++word) {
    for (uint64_t rest = selection.bits[word]; rest != 0; rest &= rest - 1) {
      const auto row = static_cast<index::LocalId>(word * 64 + static_cast<size_t>(std::countr_zero(rest)));
      if (!visible.Contains(row)) {
        selection.bits[word] &= ~(rest & -rest);
      }
    }
  }
  CountBits(&selection);
  return selection;
}

std::optional<std::vector<RowKey>> AskedIds(const CollectionSchema& schema, const Predicate& filter) {
  const Predicate* leaf = &filter;
  while (leaf->op == Predicate::Op::kAnd && leaf->children.size() == 1) {
    leaf = &leaf->children.front();
  }
  const bool by_value = leaf->op == Predicate::Op::kEq || leaf->op == Predicate::Op::kIn;
  if (!by_value || schema.id_column < 0 || leaf->field != schema.columns->field(schema.id_column)->name()) {
    return std::nullopt;
  }
  std::vector<RowKey> keys;
  for (const std::string& value : leaf->values) {
    Result<RowKey> key = ParseKey(schema, value);
    if (!key.ok()) {
      return std::nullopt;  // let the predicate say what is wrong with the value
    }
    keys.push_back(std::move(*key));
  }
  return keys;
}

}  // namespace longbow::engine
