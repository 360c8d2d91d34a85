#include "filter/evaluate.h"

#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <span>

#include "base/limits.h"
#include "filter/bitmap_words.h"
#include "filter/bound_leaf.h"
#include "filter/filter_node.h"
#include "filter/index_answers.h"
#include "filter/sorted_column.h"

namespace longbow::filter {

using Op = Predicate::Op;

namespace {

using Kind = FilterNode::Kind;

constexpr int64_t kBlockRows = 8192;  // what one scratch bitmap covers: stays in the first-level cache
constexpr int64_t kBlockWords = kBlockRows / kWordBits;

class Binder {
 public:
  explicit Binder(const arrow::Schema& schema) : schema_(schema) {}

  Status Bind(const Predicate& predicate, bool negated, size_t depth, FilterNode* node) {
    if (depth > limits::kFilterDepthMax) {
      return InvalidArgument("the filter is too deep: at most " + std::to_string(limits::kFilterDepthMax) +
                             " levels allowed");
    }
    if (++nodes_ > limits::kFilterNodesMax) {
      return InvalidArgument("the filter is too large: at most " + std::to_string(limits::kFilterNodesMax) +
                             " conditions allowed");
    }
    switch (predicate.op) {
      case Op::kNot:
        if (predicate.children.size() != 1) {
          return InvalidArgument("not needs 1 filter, got " + std::to_string(predicate.children.size()));
        }
        return Bind(predicate.children.front(), !negated, depth + 1, node);
      case Op::kAnd:
      case Op::kOr:
        // NOT (a AND b) = NOT a OR NOT b
        node->kind = (predicate.op == Op::kAnd) != negated ? Kind::kAnd : Kind::kOr;
        for (const Predicate& child : predicate.children) {
          LB_TRY(Bind(child, negated, depth + 1, &node->children.emplace_back()));
        }
        return {};
      default:
        return BindLeaf(predicate, negated, node);
    }
  }

 private:
  Status BindLeaf(const Predicate& predicate, bool negated, FilterNode* node) {
    const auto field = schema_.GetFieldByName(predicate.field);
    if (field == nullptr) {
      return InvalidArgument("unknown field \"" + predicate.field + "\" in filter");
    }
    node->kind = Kind::kLeaf;
    node->type = ValueTypeOf(field->type());
    node->comparison = {predicate.op, predicate.field, predicate.values};
    node->negated = negated;
    const auto opposite_of = [&](Op op) {
      node->comparison.op = op;
      node->negated = !negated;
    };
    if (predicate.op == Op::kNe) {
      opposite_of(Op::kEq);
    } else if (predicate.op == Op::kNotIn) {
      opposite_of(Op::kIn);
    } else if (predicate.op == Op::kIsNotNull) {
      opposite_of(Op::kIsNull);
    }
    if (node->comparison.op == Op::kIsNull) {
      return {};
    }
    LB_ASSIGN(node->test, CompileComparison(node->comparison, *node->type));
    return {};
  }

  const arrow::Schema& schema_;
  size_t nodes_ = 0;
};

// One Evaluate call.
class Evaluation {
 public:
  // `answers`: may be null; then `first_row` is where the batch begins in the rows that they are about.
  Evaluation(const FilterNode& root, const arrow::RecordBatch& rows, const IndexAnswers* answers, uint64_t first_row)
      : answers_(answers), first_row_(first_row), root_(Resolve(root, rows, 0)) {}

  void Run(int64_t rows, uint64_t* bits, uint64_t first_bit) {
    scratch_.resize((depth_ + 1) * kBlockWords);
    for (int64_t begin = 0; begin < rows; begin += kBlockRows) {
      const int64_t count = std::min(kBlockRows, rows - begin);
      uint64_t* words = scratch_.data();
      Fill(root_, begin, count, words);
      for (int64_t at = 0; at < count; at += kWordBits) {
        StoreBits(bits, first_bit + static_cast<uint64_t>(begin + at), *words++, std::min(kWordBits, count - at));
      }
    }
  }

 private:
  struct Part {
    const FilterNode* node = nullptr;
    std::vector<Part> children;  // those that an index answers first: the others may then be spared
    BoundLeaf leaf;
    std::span<const uint64_t> answer;  // by the index, for all rows of the batch; empty: read the column
    bool answered = false;             // this and all below
  };

  Part Resolve(const FilterNode& node, const arrow::RecordBatch& rows, size_t depth) {
    depth_ = std::max(depth_, depth);
    Part part;
    part.node = &node;
    part.answered = true;
    for (const FilterNode& child : node.children) {
      part.children.push_back(Resolve(child, rows, depth + 1));
      part.answered = part.answered && part.children.back().answered;
    }
    std::stable_partition(part.children.begin(), part.children.end(), [](const Part& p) { return p.answered; });
    if (node.kind == Kind::kLeaf) {
      const uint64_t end = first_row_ + static_cast<uint64_t>(rows.num_rows());
      part.answer = answers_ == nullptr ? std::span<const uint64_t>() : answers_->WordsOf(node, end);
      part.answered = !part.answer.empty();
      if (!part.answered) {
        const int column = rows.schema()->GetFieldIndex(node.comparison.field);
        part.leaf = BindToColumn(node, column < 0 ? nullptr : rows.column_data(column));
      }
    }
    return part;
  }

  // words[0, kBlockWords) = the part's truth for a block of rows; the words behind are scratch for its children.
  void Fill(const Part& part, int64_t begin, int64_t count, uint64_t* words) const {
    if (part.node->kind == Kind::kLeaf) {
      return part.answered ? LoadAnswer(part.answer, begin, count, words)
                           : FillLeaf(*part.node, part.leaf, begin, count, words);
    }
    const bool all = part.node->kind == Kind::kAnd;
    const int64_t size = WordsFor(count);
    if (part.children.empty()) {
      std::fill_n(words, size, all ? ~uint64_t{0} : 0);
      return;
    }
    Fill(part.children.front(), begin, count, words);
    for (size_t child = 1; child < part.children.size() && !Decided(words, count, all); ++child) {
      uint64_t* more = words + kBlockWords;
      Fill(part.children[child], begin, count, more);
      for (int64_t i = 0; i < size; ++i) {
        words[i] = all ? words[i] & more[i] : words[i] | more[i];
      }
    }
  }

  void LoadAnswer(std::span<const uint64_t> answer, int64_t begin, int64_t count, uint64_t* words) const {
    const auto* bytes = reinterpret_cast<const uint8_t*>(answer.data());
    const int64_t first = static_cast<int64_t>(first_row_) + begin;
    for (int64_t at = 0; at < count; at += kWordBits) {
      *words++ = LoadBits(bytes, first + at, std::min(kWordBits, count - at));
    }
  }

  // No row is left for AND, or every row is in for OR: the other children cannot change anything.
  static bool Decided(const uint64_t* words, int64_t count, bool all) {
    for (int64_t at = 0; at < count; at += kWordBits) {
      const uint64_t mask = LowMask(std::min(kWordBits, count - at));
      if ((*words++ & mask) != (all ? 0 : mask)) {
        return false;
      }
    }
    return true;
  }

  const IndexAnswers* const answers_;
  const uint64_t first_row_;
  size_t depth_ = 0;
  const Part root_;
  std::vector<uint64_t> scratch_;
};

}  // namespace

BoundPredicate::BoundPredicate(std::shared_ptr<const Node> root) : root_(std::move(root)) {}

Result<BoundPredicate> BoundPredicate::Bind(const Predicate& predicate, const arrow::Schema& schema) {
  auto root = std::make_shared<Node>();
  LB_TRY(Binder(schema).Bind(predicate, false, 1, root.get()));
  return BoundPredicate(std::move(root));
}

bool BoundPredicate::MatchesAll() const { return root_->kind == Kind::kAnd && root_->children.empty(); }

void BoundPredicate::Evaluate(const arrow::RecordBatch& rows, uint64_t* bits, uint64_t first_bit,
                              const IndexAnswers* answers) const {
  Evaluation(*root_, rows, answers, first_bit).Run(rows.num_rows(), bits, first_bit);
}

}  // namespace longbow::filter
