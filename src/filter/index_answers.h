// What a segment's filter index knows about a predicate: how many rows pass, then which.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "filter/column_index.h"
#include "filter/evaluate.h"
#include "filter/filter_index.h"

namespace longbow::filter {

struct FilterNode;

// Some rows of a batch, read to guess what share of all rows passes a condition without an index.
struct SampleRows {
  const arrow::RecordBatch* rows = nullptr;
  int64_t begin = 0;
  int64_t count = 0;
};

// A run of rows in the order of a column: positions of ColumnIndex::RowsInOrder.
struct OrderedRange {
  std::string field;
  std::shared_ptr<const ColumnIndex> column;
  uint32_t begin = 0;
  uint32_t end = 0;
  bool whole_predicate = false;  // else other conditions have to hold as well
};

// One predicate on one segment's index. Lives as long as one request; one thread, const members from many. Counts are
// there after construction, bitmaps after Materialise.
class IndexAnswers {
 public:
  IndexAnswers(BoundPredicate predicate, std::shared_ptr<const FilterIndex> index);
  ~IndexAnswers();

  // Rows below are answered by the index alone: no column has to be read for them.
  uint32_t covered_rows() const { return covered_rows_; }

  // The share of rows that pass, 0 to 1, without making bitmaps: conditions with an index are counted, others tried on
  // `sample`; they are taken to be independent of each other.
  double EstimateSelectivity(std::span<const SampleRows> sample) const;

  // The condition among those that all must hold whose rows stand together in the order of their column, of these the
  // one with the fewest rows; nothing where there is none.
  std::optional<OrderedRange> NarrowestRange() const;

  void Materialise();
  // After Materialise: overwrites bits [0, rows); rows <= covered_rows().
  void Fill(uint64_t* bits, uint32_t rows) const;
  // After Materialise: the bitmap of a condition over at least `rows` rows; empty where the index does not cover it.
  std::span<const uint64_t> WordsOf(const FilterNode& leaf, uint64_t rows) const;

 private:
  struct Leaf {
    std::shared_ptr<const ColumnIndex> column;
    std::optional<std::vector<ValueRun>> runs;  // of passing values; nothing: has to be verified when materialising
    uint64_t count = 0;                         // rows that pass; with open runs an upper bound
    std::vector<uint64_t> words;
  };

  void Resolve(const FilterNode& node);
  Leaf AnswerLeaf(const FilterNode& node, std::shared_ptr<const ColumnIndex> column) const;
  double EstimateNode(const FilterNode& node, std::span<const SampleRows> sample) const;
  void FillNode(const FilterNode& node, std::vector<uint64_t>* words) const;
  void CollectRanges(const FilterNode& node, bool whole, std::optional<OrderedRange>* best) const;

  const BoundPredicate predicate_;
  const std::shared_ptr<const FilterIndex> index_;
  std::unordered_map<const FilterNode*, Leaf> leaves_;
  uint32_t covered_rows_ = 0;
  bool open_ = false;  // a leaf without an index
};

}  // namespace longbow::filter
