#include "filter/index_answers.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <bit>
#include <limits>

#include "filter/bitmap_words.h"
#include "filter/bound_leaf.h"

namespace longbow::filter {
namespace {

using Kind = FilterNode::Kind;
using Op = Predicate::Op;

// Nothing is known about a condition and no row can be looked at.
double Guess(const FilterNode& leaf) {
  const bool narrow = leaf.comparison.op == Op::kEq || leaf.comparison.op == Op::kIn ||
                      leaf.comparison.op == Op::kIsNull || leaf.comparison.op == Op::kContains ||
                      leaf.comparison.op == Op::kPrefix;
  const double share = narrow ? 0.1 : 0.4;
  return leaf.negated ? 1 - share : share;
}

double TryOn(const FilterNode& leaf, std::span<const SampleRows> sample) {
  uint64_t rows = 0;
  uint64_t passing = 0;
  std::vector<uint64_t> words;
  const arrow::RecordBatch* bound_to = nullptr;
  BoundLeaf bound;
  for (const SampleRows& some : sample) {
    if (bound_to != some.rows) {
      const int column = some.rows->schema()->GetFieldIndex(leaf.comparison.field);
      bound = BindToColumn(leaf, column < 0 ? nullptr : some.rows->column_data(column));
      bound_to = some.rows;
    }
    words.resize(static_cast<size_t>(WordsFor(some.count)));
    FillLeaf(leaf, bound, some.begin, some.count, words.data());
    for (int64_t at = 0; at < some.count; at += kWordBits) {
      const uint64_t word = words[static_cast<size_t>(at / kWordBits)] & LowMask(some.count - at);
      passing += static_cast<uint64_t>(std::popcount(word));
    }
    rows += static_cast<uint64_t>(some.count);
  }
  return rows == 0 ? Guess(leaf) : (static_cast<double>(passing) + 0.5) / (static_cast<double>(rows) + 1);
}

}  // namespace

IndexAnswers::IndexAnswers(BoundPredicate predicate, std::shared_ptr<const FilterIndex> index)
    : predicate_(std::move(predicate)), index_(std::move(index)) {
  covered_rows_ = std::numeric_limits<uint32_t>::max();
  Resolve(predicate_.root());
  if (open_) {
    covered_rows_ = 0;
  }
}

IndexAnswers::~IndexAnswers() = default;

void IndexAnswers::Resolve(const FilterNode& node) {
  for (const FilterNode& child : node.children) {
    Resolve(child);
  }
  if (node.kind != Kind::kLeaf) {
    return;
  }
  std::shared_ptr<const ColumnIndex> column = index_->Find(node.comparison.field);
  if (column == nullptr || !column->type().Equals(*node.type)) {
    open_ = true;
    return;
  }
  covered_rows_ = std::min(covered_rows_, column->rows());
  leaves_.emplace(&node, AnswerLeaf(node, std::move(column)));
}

IndexAnswers::Leaf IndexAnswers::AnswerLeaf(const FilterNode& node, std::shared_ptr<const ColumnIndex> column) const {
  Leaf leaf{std::move(column), std::nullopt, 0, {}};
  if (node.comparison.op == Op::kIsNull) {
    leaf.runs.emplace();
    leaf.count = node.negated ? leaf.column->valid_count() : leaf.column->rows() - leaf.column->valid_count();
    return leaf;
  }
  leaf.runs = leaf.column->PassingValues(node.comparison, *node.test);
  leaf.count = leaf.runs ? leaf.column->CountRows(*leaf.runs) : leaf.column->CandidateRows(node.comparison);
  if (node.negated) {
    leaf.count = leaf.column->valid_count() - leaf.count;
  }
  return leaf;
}

double IndexAnswers::EstimateSelectivity(std::span<const SampleRows> sample) const {
  return EstimateNode(predicate_.root(), sample);
}

double IndexAnswers::EstimateNode(const FilterNode& node, std::span<const SampleRows> sample) const {
  if (node.kind == Kind::kLeaf) {
    const auto it = leaves_.find(&node);
    if (it == leaves_.end()) {
      return TryOn(node, sample);
    }
    return static_cast<double>(it->second.count) / std::max<uint32_t>(1, it->second.column->rows());
  }
  const bool all = node.kind == Kind::kAnd;
  double product = 1;
  for (const FilterNode& child : node.children) {
    const double share = EstimateNode(child, sample);
    product *= all ? share : 1 - share;
  }
  return all ? product : 1 - product;
}

std::optional<OrderedRange> IndexAnswers::NarrowestRange() const {
  std::optional<OrderedRange> best;
  CollectRanges(predicate_.root(), true, &best);
  return best;
}

void IndexAnswers::CollectRanges(const FilterNode& node, bool whole, std::optional<OrderedRange>* best) const {
  if (node.kind == Kind::kAnd) {
    for (const FilterNode& child : node.children) {
      CollectRanges(child, whole && node.children.size() == 1, best);
    }
    return;
  }
  const auto it = leaves_.find(&node);
  if (node.kind != Kind::kLeaf || it == leaves_.end()) {
    return;
  }
  const Leaf& leaf = it->second;
  OrderedRange range{node.comparison.field, leaf.column, 0, 0, whole};
  const auto valid = static_cast<uint32_t>(leaf.column->valid_count());
  if (node.comparison.op == Op::kIsNull) {
    range.begin = node.negated ? 0 : valid;
    range.end = node.negated ? valid : leaf.column->rows();
  } else if (!node.negated && leaf.runs && leaf.runs->size() <= 1) {
    if (!leaf.runs->empty()) {
      range.begin = leaf.column->PositionOf(leaf.runs->front().begin);
      range.end = leaf.column->PositionOf(leaf.runs->front().end);
    }
  } else {
    return;
  }
  if (!*best || range.end - range.begin < (*best)->end - (*best)->begin) {
    *best = std::move(range);
  }
}

void IndexAnswers::Materialise() {
  for (auto& [node, leaf] : leaves_) {
    const std::vector<uint64_t>& valid = leaf.column->valid();
    if (node->comparison.op == Op::kIsNull) {
      leaf.words = valid;
      if (!node->negated) {
        for (uint64_t& word : leaf.words) {
          word = ~word;
        }
      }
      continue;
    }
    if (!leaf.runs) {
      leaf.runs = leaf.column->VerifiedValues(node->comparison, *node->test);
      leaf.count = leaf.column->CountRows(*leaf.runs);
      if (node->negated) {
        leaf.count = leaf.column->valid_count() - leaf.count;
      }
    }
    leaf.words.resize(valid.size());
    leaf.column->RowsOf(*leaf.runs, leaf.words.data());
    if (node->negated) {
      for (size_t i = 0; i < valid.size(); ++i) {
        leaf.words[i] = valid[i] & ~leaf.words[i];
      }
    }
  }
}

std::span<const uint64_t> IndexAnswers::WordsOf(const FilterNode& leaf, uint64_t rows) const {
  const auto it = leaves_.find(&leaf);
  if (it == leaves_.end() || it->second.column->rows() < rows) {
    return {};
  }
  return it->second.words;
}

void IndexAnswers::Fill(uint64_t* bits, uint32_t rows) const {
  if (rows == 0) {
    return;  // also where a condition has no index
  }
  std::vector<uint64_t> made;
  const FilterNode& root = predicate_.root();
  const std::vector<uint64_t>* words = root.kind == Kind::kLeaf ? &leaves_.at(&root).words : &made;
  if (words == &made) {
    made.resize(static_cast<size_t>(WordsFor(rows)));
    FillNode(root, &made);
  }
  const size_t whole = rows / kWordBits;
  std::copy_n(words->begin(), whole, bits);
  if (rows % kWordBits != 0) {
    StoreBits(bits, whole * kWordBits, (*words)[whole], rows % kWordBits);
  }
}

void IndexAnswers::FillNode(const FilterNode& node, std::vector<uint64_t>* words) const {
  if (node.kind == Kind::kLeaf) {
    const std::vector<uint64_t>& answer = leaves_.at(&node).words;
    std::copy_n(answer.begin(), words->size(), words->begin());
    return;
  }
  const bool all = node.kind == Kind::kAnd;
  std::fill(words->begin(), words->end(), all ? ~uint64_t{0} : 0);
  std::vector<uint64_t> more;
  for (const FilterNode& child : node.children) {
    const std::vector<uint64_t>* answer = &more;
    if (child.kind == Kind::kLeaf) {
      answer = &leaves_.at(&child).words;
    } else {
      more.resize(words->size());
      FillNode(child, &more);
    }
    for (size_t i = 0; i < words->size(); ++i) {
      (*words)[i] = all ? (*words)[i] & (*answer)[i] : (*words)[i] | (*answer)[i];
    }
  }
}

}  // namespace longbow::filter
