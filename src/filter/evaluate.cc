#include "filter/evaluate.h"

#include <arrow/array/data.h>
#include <arrow/extension_type.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <unordered_map>

#include "base/limits.h"
#include "filter/bitmap_words.h"
#include "filter/comparison.h"

namespace longbow::filter {

using Op = Predicate::Op;

// NOT is pushed down to the leaves when binding, so a node only has to say which rows are true: a leaf is true where
// its column is valid and the comparison (negated: its opposite) holds.
struct FilterNode {
  enum class Kind { kAnd, kOr, kLeaf };
  Kind kind = Kind::kAnd;
  std::vector<FilterNode> children;

  // A leaf:
  bool negated = false;
  Comparison comparison;
  std::shared_ptr<arrow::DataType> type;           // of the values: dictionaries and extensions unwrapped
  std::shared_ptr<const CompiledComparison> test;  // null for kIsNull
};

struct BoundPredicate::Node : FilterNode {};

namespace {

using Kind = FilterNode::Kind;

constexpr int64_t kBlockRows = 8192;  // what one scratch bitmap covers: stays in the first-level cache
constexpr int64_t kBlockWords = kBlockRows / kWordBits;

// The type whose values a column of `type` holds.
std::shared_ptr<arrow::DataType> ValueType(const std::shared_ptr<arrow::DataType>& type) {
  if (type->id() == arrow::Type::EXTENSION) {
    return ValueType(static_cast<const arrow::ExtensionType&>(*type).storage_type());
  }
  if (type->id() == arrow::Type::DICTIONARY) {
    return ValueType(static_cast<const arrow::DictionaryType&>(*type).value_type());
  }
  return type;
}

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
    node->type = ValueType(field->type());
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

// A leaf on one batch: the column's memory, and for a dictionary the answer for each of its values.
struct BoundLeaf {
  std::shared_ptr<const arrow::ArrayData> column;  // null: the batch lacks the column, every row is null
  std::shared_ptr<const CompiledComparison> test;  // null: no row passes but as null
  std::vector<uint64_t> dictionary_passes;
};

uint64_t Validity(const arrow::ArrayData& column, int64_t begin, int64_t count) {
  if (column.type->id() == arrow::Type::NA) {
    return 0;
  }
  return column.buffers[0] == nullptr ? ~uint64_t{0}
                                      : LoadBits(column.buffers[0]->data(), column.offset + begin, count);
}

void FillNulls(const arrow::ArrayData* column, bool negated, int64_t begin, int64_t count, uint64_t* out) {
  for (int64_t at = 0; at < count; at += kWordBits) {
    const uint64_t valid = column == nullptr ? 0 : Validity(*column, begin + at, std::min(kWordBits, count - at));
    *out++ = negated ? valid : ~valid;
  }
}

// Rows of a dictionary column: the answer for the value they name; null rows answer as null does.
template <typename Index>
void FillFromDictionary(const BoundLeaf& leaf, bool null_passes, int64_t begin, int64_t count, uint64_t* out) {
  const arrow::ArrayData& column = *leaf.column;
  const Index* indices = column.GetValues<Index>(1) + begin;
  const bool has_nulls = column.buffers[0] != nullptr;
  FillWords(count, out, [&](int64_t i) {
    if (has_nulls && LoadBits(column.buffers[0]->data(), column.offset + begin + i, 1) == 0) {
      return null_passes;
    }
    const auto index = static_cast<uint64_t>(indices[i]);
    return (leaf.dictionary_passes[index / kWordBits] >> (index % kWordBits) & 1) != 0;
  });
}

void DispatchDictionary(const BoundLeaf& leaf, bool null_passes, int64_t begin, int64_t count, uint64_t* out) {
  const auto& index_type = *static_cast<const arrow::DictionaryType&>(*leaf.column->type).index_type();
  switch (static_cast<const arrow::FixedWidthType&>(index_type).bit_width()) {
    case 8:
      return FillFromDictionary<uint8_t>(leaf, null_passes, begin, count, out);
    case 16:
      return FillFromDictionary<uint16_t>(leaf, null_passes, begin, count, out);
    case 32:
      return FillFromDictionary<uint32_t>(leaf, null_passes, begin, count, out);
    default:
      return FillFromDictionary<uint64_t>(leaf, null_passes, begin, count, out);
  }
}

void FillLeaf(const FilterNode& node, const BoundLeaf& leaf, int64_t begin, int64_t count, uint64_t* out) {
  const bool asks_null = node.comparison.op == Op::kIsNull;
  if (leaf.column != nullptr && leaf.column->dictionary != nullptr) {
    return DispatchDictionary(leaf, asks_null && !node.negated, begin, count, out);
  }
  if (asks_null) {
    return FillNulls(leaf.column.get(), node.negated, begin, count, out);
  }
  if (leaf.column == nullptr || leaf.test == nullptr) {
    std::fill_n(out, WordsFor(count), 0);
    return;
  }
  leaf.test->Words(*leaf.column, begin, count, out);
  if (!node.negated && leaf.column->buffers[0] == nullptr) {
    return;
  }
  for (int64_t at = 0; at < count; at += kWordBits, ++out) {
    *out = (node.negated ? ~*out : *out) & Validity(*leaf.column, begin + at, std::min(kWordBits, count - at));
  }
}

// The column as its storage type.
std::shared_ptr<const arrow::ArrayData> Unwrap(const std::shared_ptr<arrow::ArrayData>& column) {
  if (column == nullptr || column->type->id() != arrow::Type::EXTENSION) {
    return column;
  }
  const auto storage = column->Copy();
  storage->type = static_cast<const arrow::ExtensionType&>(*column->type).storage_type();
  return Unwrap(storage);
}

BoundLeaf BindToColumn(const FilterNode& node, const std::shared_ptr<arrow::ArrayData>& column) {
  BoundLeaf leaf{Unwrap(column), node.test, {}};
  if (column == nullptr) {
    return leaf;
  }
  const auto type = ValueType(column->type);
  if (type->id() == arrow::Type::NA) {
    leaf.test = nullptr;
  } else if (node.test != nullptr && !type->Equals(*node.type)) {
    // The same column in another form (Parquet turns timestamp[s] into timestamp[ms], say): read the values for this
    // one.
    auto compiled = CompileComparison(node.comparison, *type);
    leaf.test = compiled.ok() ? *compiled : nullptr;
  }
  if (leaf.column->dictionary != nullptr) {
    const int64_t size = leaf.column->dictionary->length;
    leaf.dictionary_passes.resize(static_cast<size_t>(WordsFor(size)));
    if (size > 0) {
      FillLeaf(node, {Unwrap(leaf.column->dictionary), leaf.test, {}}, 0, size, leaf.dictionary_passes.data());
    }
  }
  return leaf;
}

// One Evaluate call.
class Evaluation {
 public:
  Evaluation(const FilterNode& root, const arrow::RecordBatch& rows) : root_(root) { Resolve(root, rows, 0); }

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
  void Resolve(const FilterNode& node, const arrow::RecordBatch& rows, size_t depth) {
    depth_ = std::max(depth_, depth);
    for (const FilterNode& child : node.children) {
      Resolve(child, rows, depth + 1);
    }
    if (node.kind == Kind::kLeaf) {
      const int column = rows.schema()->GetFieldIndex(node.comparison.field);
      leaves_.emplace(&node, BindToColumn(node, column < 0 ? nullptr : rows.column_data(column)));
    }
  }

  // words[0, kBlockWords) = the node's truth for a block of rows; the words behind are scratch for its children.
  void Fill(const FilterNode& node, int64_t begin, int64_t count, uint64_t* words) {
    if (node.kind == Kind::kLeaf) {
      return FillLeaf(node, leaves_.at(&node), begin, count, words);
    }
    const bool all = node.kind == Kind::kAnd;
    const int64_t size = WordsFor(count);
    if (node.children.empty()) {
      std::fill_n(words, size, all ? ~uint64_t{0} : 0);
      return;
    }
    Fill(node.children.front(), begin, count, words);
    for (size_t child = 1; child < node.children.size() && !Decided(words, count, all); ++child) {
      uint64_t* more = words + kBlockWords;
      Fill(node.children[child], begin, count, more);
      for (int64_t i = 0; i < size; ++i) {
        words[i] = all ? words[i] & more[i] : words[i] | more[i];
      }
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

  const FilterNode& root_;
  std::unordered_map<const FilterNode*, BoundLeaf> leaves_;
  std::vector<uint64_t> scratch_;
  size_t depth_ = 0;
};

}  // namespace

BoundPredicate::BoundPredicate(std::shared_ptr<const Node> root) : root_(std::move(root)) {}

Result<BoundPredicate> BoundPredicate::Bind(const Predicate& predicate, const arrow::Schema& schema) {
  auto root = std::make_shared<Node>();
  LB_TRY(Binder(schema).Bind(predicate, false, 1, root.get()));
  return BoundPredicate(std::move(root));
}

bool BoundPredicate::MatchesAll() const { return root_->kind == Kind::kAnd && root_->children.empty(); }

void BoundPredicate::Evaluate(const arrow::RecordBatch& rows, uint64_t* bits, uint64_t first_bit) const {
  Evaluation(*root_, rows).Run(rows.num_rows(), bits, first_bit);
}

}  // namespace longbow::filter
