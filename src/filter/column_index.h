// The index of one column of a segment's immutable rows: value -> rows.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "filter/comparison.h"
#include "filter/roaring_set.h"
#include "filter/sorted_column.h"
#include "filter/trigram_index.h"

namespace longbow::filter {

// Distinct values [begin, end) in ascending order.
struct ValueRun {
  uint32_t begin = 0;
  uint32_t end = 0;
};

// A predicate is asked of the distinct values, with the same compiled comparison that reads columns, by binary search
// where the operator follows their order; the rows of the passing values make the bitmap. So both ways agree by
// construction. Two forms, chosen by how often values repeat:
// - inverted: a roaring bitmap for each value;
// - ordered: the rows sorted by value.
// Beside either stand bitmaps of the rows below about sixteen of the values, a sixteenth of the rows apart: a range is
// the difference of two of these and of few rows besides.
// Immutable, thread safe.
class ColumnIndex {
 public:
  // `type`: what the comparisons that will be asked are compiled for. `trigrams`: index the substrings of text.
  ColumnIndex(SortedColumn column, std::shared_ptr<arrow::DataType> type, uint32_t rows, bool trigrams);

  uint32_t rows() const { return rows_; }
  const arrow::DataType& type() const { return *type_; }
  uint32_t distinct() const { return static_cast<uint32_t>(starts_.size() - 1); }
  uint64_t valid_count() const { return valid_count_; }
  const std::vector<uint64_t>& valid() const { return valid_; }
  bool inverted() const { return order_.empty(); }
  bool has_trigrams() const { return trigrams_ != nullptr; }
  size_t size_bytes() const { return size_bytes_; }

  // The values that pass; `test`: the comparison, compiled for type(). Nothing where every candidate must be looked at
  // (contains): CandidateRows bounds it and VerifiedValues does it.
  std::optional<std::vector<ValueRun>> PassingValues(const Comparison& comparison,
                                                     const CompiledComparison& test) const;
  uint64_t CandidateRows(const Comparison& comparison) const;
  std::vector<ValueRun> VerifiedValues(const Comparison& comparison, const CompiledComparison& test) const;

  uint64_t CountRows(std::span<const ValueRun> runs) const;
  // words[0, ceil(rows() / 64)) = the rows that hold one of these values.
  void RowsOf(std::span<const ValueRun> runs, uint64_t* words) const;

  // Every row once: by value, then the NaNs, then the nulls; rows of equal values ascending. Value v stands at
  // positions [PositionOf(v), PositionOf(v + 1)), rows that are not null at [0, valid_count()).
  std::vector<uint32_t> RowsInOrder() const;
  uint32_t PositionOf(uint32_t value) const { return starts_[value]; }

 private:
  bool Passes(const CompiledComparison& test, uint32_t value) const;
  // The first of values [begin, end) for which `test` is not `expected`; it is so for a first part of them.
  uint32_t Boundary(const CompiledComparison& test, bool expected, uint32_t begin, uint32_t end) const;
  std::vector<ValueRun> AskEveryValue(const CompiledComparison& test) const;
  std::optional<ValueRun> RangeOf(const Comparison& comparison, const CompiledComparison& test) const;
  std::vector<ValueRun> SetOf(const Comparison& comparison) const;
  void MakePrefixes(const std::vector<uint32_t>& order);
  // The prefix, 0 to prefixes_.size() - 1, that ends nearest to where value `value` begins.
  size_t NearestPrefix(uint32_t value) const;
  // Turns the bits of the rows of values [begin, end), or of [end, begin).
  void Flip(uint32_t begin, uint32_t end, uint64_t* words) const;

  const std::shared_ptr<arrow::DataType> type_;
  const uint32_t rows_;
  std::shared_ptr<const arrow::ArrayData> values_;
  std::vector<uint32_t> starts_;   // [distinct + 1]
  std::vector<uint64_t> valid_;    // bitmap
  std::vector<uint64_t> ordered_;  // bitmap of rows that hold a value that comparisons find; empty: as valid_
  uint64_t valid_count_ = 0;
  std::vector<RoaringSet> postings_;  // [distinct], the inverted form
  std::vector<uint32_t> order_;       // the ordered form
  struct Prefix {
    uint32_t values = 0;  // the rows of values [0, values)
    std::vector<uint64_t> rows;
  };
  std::vector<Prefix> prefixes_;  // the first holds no value, the last all
  std::unique_ptr<const TrigramIndex> trigrams_;
  size_t size_bytes_ = 0;
};

}  // namespace longbow::filter
