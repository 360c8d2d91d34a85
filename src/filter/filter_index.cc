#include "filter/filter_index.h"

#include <arrow/array/data.h>
#include <arrow/buffer.h>
#include <arrow/type.h>
#include <arrow/type_traits.h>

#include "filter/filter_node.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;

constexpr uint32_t kTrigramsDistinctMin = 4096;  // fewer texts are looked at one by one

bool IsText(const arrow::DataType& type) {
  return arrow::is_base_binary_like(type.id()) || arrow::is_binary_view_like(type.id());
}

bool LacksTrigrams(const ColumnIndex& column) {
  return IsText(column.type()) && column.distinct() > kTrigramsDistinctMin && !column.has_trigrams();
}

size_t TextBytes(const SortedColumn& column) { return static_cast<size_t>(column.values->buffers[2]->size()); }

template <typename Visit>
void ForEachLeaf(const FilterNode& node, const Visit& visit) {
  if (node.kind == FilterNode::Kind::kLeaf) {
    visit(node);
  }
  for (const FilterNode& child : node.children) {
    ForEachLeaf(child, visit);
  }
}

}  // namespace

size_t FilterIndex::size_bytes() const {
  size_t size_bytes = 0;
  for (const auto& [field, column] : columns_) {
    size_bytes += column->size_bytes();
  }
  return size_bytes;
}

AdaptiveFilterIndex::AdaptiveFilterIndex(Options options)
    : options_(options), current_(std::make_shared<const FilterIndex>()) {}

void AdaptiveFilterIndex::Clear() {
  const std::lock_guard lock(mu_);
  uses_.clear();
  current_ = std::make_shared<const FilterIndex>();
}

std::shared_ptr<const FilterIndex> AdaptiveFilterIndex::current() const {
  std::lock_guard lock(mu_);
  return current_;
}

void AdaptiveFilterIndex::NoteUse(const BoundPredicate& predicate) {
  std::lock_guard lock(mu_);
  ForEachLeaf(predicate.root(), [&](const FilterNode& leaf) {
    Use& use = uses_[leaf.comparison.field];
    ++use.count;
    use.contains = use.contains || leaf.comparison.op == Op::kContains;
  });
}

const std::pair<const std::string, AdaptiveFilterIndex::Use>* AdaptiveFilterIndex::NextLocked(
    const arrow::Schema& schema, uint32_t stable_rows) const {
  if (building_ || stable_rows < options_.rows_min) {
    return nullptr;
  }
  const std::pair<const std::string, Use>* next = nullptr;
  for (const auto& entry : uses_) {
    const Use& use = entry.second;
    if (stable_rows / 2 < use.refused_rows || (next != nullptr && use.count <= next->second.count)) {
      continue;
    }
    const std::shared_ptr<const ColumnIndex> column = current_->Find(entry.first);
    const auto field = schema.GetFieldByName(entry.first);
    const bool widened = column != nullptr && field != nullptr && !column->type().Equals(*ValueTypeOf(field->type()));
    const bool behind =
        column == nullptr || widened || stable_rows - column->rows() >= std::max<uint32_t>(column->rows() / 4, 1);
    const bool lacks_trigrams =
        !behind && use.contains && LacksTrigrams(*column) && stable_rows / 2 >= use.trigrams_refused_rows;
    if (behind || lacks_trigrams) {
      next = &entry;
    }
  }
  return next;
}

bool AdaptiveFilterIndex::HasWork(const arrow::Schema& schema, uint32_t stable_rows) const {
  std::lock_guard lock(mu_);
  return NextLocked(schema, stable_rows) != nullptr;
}

bool AdaptiveFilterIndex::Build(const arrow::Schema& schema, std::span<const PlacedRows> batches,
                                uint32_t stable_rows) {
  std::string field;
  bool contains = false;
  size_t others_bytes = 0;
  {
    std::lock_guard lock(mu_);
    const auto* next = NextLocked(schema, stable_rows);
    if (next == nullptr) {
      return false;
    }
    building_ = true;
    field = next->first;
    contains = next->second.contains;
    for (const auto& [name, column] : current_->columns()) {
      others_bytes += name == field ? 0 : column->size_bytes();
    }
  }
  const size_t budget_bytes = options_.size_max_bytes_per_row * stable_rows;
  const size_t room_bytes = budget_bytes - std::min(budget_bytes, others_bytes);
  std::shared_ptr<const ColumnIndex> built;
  bool trigrams_refused = false;
  if (const auto column_field = schema.GetFieldByName(field)) {
    const auto type = ValueTypeOf(column_field->type());
    if (auto sorted = SortColumn(field, type, batches, stable_rows, room_bytes)) {
      const bool wanted = contains && IsText(*type) && sorted->starts.size() > kTrigramsDistinctMin;
      const bool trigrams = wanted && TrigramIndex::SizeMaxBytes(TextBytes(*sorted)) <= room_bytes / 2;
      trigrams_refused = wanted && !trigrams;
      built = std::make_shared<const ColumnIndex>(std::move(*sorted), type, stable_rows, trigrams);
    }
  }
  std::lock_guard lock(mu_);
  building_ = false;
  uses_[field].trigrams_refused_rows = trigrams_refused ? stable_rows : 0;
  if (built == nullptr || built->size_bytes() > room_bytes) {
    uses_[field].refused_rows = stable_rows;
    return true;
  }
  FilterIndex::Columns columns = current_->columns();
  columns[field] = std::move(built);
  current_ = std::make_shared<const FilterIndex>(std::move(columns));
  return true;
}

}  // namespace longbow::filter
