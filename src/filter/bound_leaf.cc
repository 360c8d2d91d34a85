#include "filter/bound_leaf.h"

#include <arrow/array/data.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include <algorithm>

#include "filter/bitmap_words.h"
#include "filter/sorted_column.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;

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

}  // namespace

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

BoundLeaf BindToColumn(const FilterNode& node, const std::shared_ptr<arrow::ArrayData>& column) {
  BoundLeaf leaf{UnwrapExtension(column), node.test, {}};
  if (column == nullptr) {
    return leaf;
  }
  const auto type = ValueTypeOf(column->type);
  if (type->id() == arrow::Type::NA) {
    leaf.test = nullptr;
  } else if (node.test != nullptr && !type->Equals(*node.type)) {
    // The column before it widened, or in another form (Parquet turns timestamp[s] into timestamp[ms], say). Integers
    // are compared exactly whatever their width, so the values are read for this one; what else widened is widened
    // here.
    const bool by_value = arrow::is_integer(type->id());
    if (auto widened = by_value ? nullptr : WidenedTo(node.type, column)) {
      leaf.column = std::move(widened);
    } else {
      auto compiled = CompileComparison(node.comparison, *type);
      leaf.test = compiled.ok() ? *compiled : nullptr;
    }
  }
  if (leaf.column->dictionary != nullptr) {
    const int64_t size = leaf.column->dictionary->length;
    leaf.dictionary_passes.resize(static_cast<size_t>(WordsFor(size)));
    if (size > 0) {
      FillLeaf(node, {UnwrapExtension(leaf.column->dictionary), leaf.test, {}}, 0, size, leaf.dictionary_passes.data());
    }
  }
  return leaf;
}

}  // namespace longbow::filter
