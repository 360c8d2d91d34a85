#include "cli/flat_subject.h"

#include <algorithm>

#include "index/flat_search.h"
#include "model/float16.h"

namespace longbow::cli {

Status FlatSubject::Build(const float* rows, uint32_t count) {
  Write(0, rows, count);
  count_ = count;
  return {};
}

Result<std::vector<index::Neighbor>> FlatSubject::Search(const float* query, index::SearchOptions options) const {
  FillFilter(options.filter);
  LB_ASSIGN(const index::TypedQuery typed, TypedQueryOf(query));
  return index::FlatSearch(*rows_, typed, options);
}

uint64_t FlatSubject::SizeBytes() const {
  const uint64_t norm_bytes = options_.metric == Metric::kCosine ? sizeof(double) : 0;
  return static_cast<uint64_t>(count_) * (rows_->row_bytes() + norm_bytes);
}

Result<index::LocalId> FlatSubject::Insert(const float* row) {
  if (count_ == options_.capacity) {
    return ResourceExhausted("the index has room for " + std::to_string(options_.capacity) + " rows");
  }
  Write(count_, row, 1);
  return count_++;
}

Status FlatSubject::Delete(index::LocalId id) {
  deleted_at_[id].store(1, std::memory_order_relaxed);
  return {};
}

Result<index::TypedQuery> FlatSubject::TypedQueryOf(const float* query) const {
  if (options_.type == ElementType::kFloat32) {
    return index::TypedQuery(query);
  }
  return index::TypedQuery::For(options_.type, options_.metric, {query, query + options_.dimension});
}

void FlatSubject::Write(uint32_t first, const float* rows, uint32_t count) {
  const size_t values = static_cast<size_t>(count) * options_.dimension;
  if (options_.type == ElementType::kFloat32) {
    std::copy(rows, rows + values, rows_->MutableRow(first));
  } else {
    std::transform(rows, rows + values, reinterpret_cast<uint16_t*>(rows_->MutableBytes(first)), HalfFromFloat);
  }
  rows_->FinishRows(first, first + count);
}

void FlatSubject::FillFilter(index::RowFilter& filter) const {
  filter.end = count_;
  filter.deleted_at = deleted_at_.data();
  filter.version = 1;
}

}  // namespace longbow::cli
