#include "filter/column_index.h"

#include <arrow/array/data.h>
#include <arrow/type.h>

#include <algorithm>

#include "filter/bitmap_words.h"
#include "filter/text_rows.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;

constexpr uint32_t kAskedSingly = 64;              // up to here every value is asked: as fast as a search
constexpr uint32_t kAskedMax = 4096;               // values looked at when a count is wanted
constexpr uint32_t kInvertedDistinctMax = 4096;    // sets of rows
constexpr uint32_t kInvertedRowsPerValueMin = 16;  // below, a set is larger than its rows in a list
constexpr uint32_t kPrefixes = 16;

uint64_t Bit(uint32_t bit) { return uint64_t{1} << (bit % kWordBits); }

size_t BufferBytes(const arrow::ArrayData& data) {
  size_t size_bytes = 0;
  for (const auto& buffer : data.buffers) {
    size_bytes += buffer == nullptr ? 0 : static_cast<size_t>(buffer->size());
  }
  return size_bytes;
}

// Ascending, without overlaps.
std::vector<ValueRun> Merged(std::vector<ValueRun> runs) {
  std::sort(runs.begin(), runs.end(), [](const ValueRun& a, const ValueRun& b) { return a.begin < b.begin; });
  std::vector<ValueRun> merged;
  for (const ValueRun& run : runs) {
    if (run.begin >= run.end) {
      continue;
    }
    if (!merged.empty() && run.begin <= merged.back().end) {
      merged.back().end = std::max(merged.back().end, run.end);
    } else {
      merged.push_back(run);
    }
  }
  return merged;
}

}  // namespace

ColumnIndex::ColumnIndex(SortedColumn column, std::shared_ptr<arrow::DataType> type, uint32_t rows, bool trigrams)
    : type_(std::move(type)),
      rows_(rows),
      values_(std::move(column.values)),
      starts_(std::move(column.starts)),
      valid_(std::move(column.valid)),
      ordered_(std::move(column.ordered)),
      valid_count_(column.valid_count) {
  MakePrefixes(column.order);
  const size_t ordered_count = column.order.size();
  if (distinct() <= kInvertedDistinctMax && ordered_count >= size_t{distinct()} * kInvertedRowsPerValueMin) {
    postings_.reserve(distinct());
    for (uint32_t value = 0; value < distinct(); ++value) {
      postings_.push_back(RoaringSet::FromAscending(
          std::span(column.order).subspan(starts_[value], starts_[value + 1] - starts_[value])));
      size_bytes_ += sizeof(RoaringSet) + postings_.back().size_bytes();
    }
  } else {
    order_ = std::move(column.order);
    order_.shrink_to_fit();
    size_bytes_ += order_.size() * sizeof(uint32_t);
  }
  if (trigrams && values_->type->id() == arrow::Type::LARGE_BINARY) {
    auto index = std::make_unique<TrigramIndex>();
    const OffsetRows<int64_t> texts(*values_, 0);
    for (uint32_t value = 0; value < distinct(); ++value) {
      index->Add(value, texts[value]);
    }
    index->Finish();
    size_bytes_ += index->size_bytes();
    trigrams_ = std::move(index);
  }
  size_bytes_ += sizeof(*this) + BufferBytes(*values_) + starts_.size() * sizeof(uint32_t) +
                 (valid_.size() + ordered_.size()) * sizeof(uint64_t);
}

void ColumnIndex::MakePrefixes(const std::vector<uint32_t>& order) {
  const size_t step = order.size() / kPrefixes + 1;
  std::vector<uint64_t> rows(valid_.size());
  const auto keep = [&](uint32_t values) {
    prefixes_.push_back({values, rows});
    size_bytes_ += sizeof(Prefix) + rows.size() * sizeof(uint64_t);
  };
  keep(0);
  for (uint32_t value = 0; value < distinct(); ++value) {
    const uint32_t begin = starts_[value];
    const uint32_t end = starts_[value + 1];
    // A value of many rows gets a bitmap on either side: no place is far from one then.
    const bool wide = end - begin > step && prefixes_.back().values != value;
    if (wide) {
      keep(value);
    }
    for (uint32_t i = begin; i < end; ++i) {
      rows[order[i] / kWordBits] |= Bit(order[i]);
    }
    if (value + 1 == distinct() || end / step != begin / step) {
      keep(value + 1);
    }
  }
}

// --- which values pass
// ------------------------------------------------------------------------------------------------

bool ColumnIndex::Passes(const CompiledComparison& test, uint32_t value) const {
  uint64_t word = 0;
  test.Words(*values_, value, 1, &word);
  return (word & 1) != 0;
}

uint32_t ColumnIndex::Boundary(const CompiledComparison& test, bool expected, uint32_t begin, uint32_t end) const {
  while (begin < end) {
    const uint32_t middle = begin + (end - begin) / 2;
    if (Passes(test, middle) == expected) {
      begin = middle + 1;
    } else {
      end = middle;
    }
  }
  return begin;
}

std::vector<ValueRun> ColumnIndex::AskEveryValue(const CompiledComparison& test) const {
  std::vector<uint64_t> words(static_cast<size_t>(WordsFor(distinct())));
  if (distinct() > 0) {
    test.Words(*values_, 0, distinct(), words.data());
  }
  std::vector<ValueRun> runs;
  for (uint32_t value = 0; value < distinct(); ++value) {
    if ((words[value / kWordBits] & Bit(value)) == 0) {
      continue;
    }
    if (!runs.empty() && runs.back().end == value) {
      ++runs.back().end;
    } else {
      runs.push_back({value, value + 1});
    }
  }
  return runs;
}

std::optional<ValueRun> ColumnIndex::RangeOf(const Comparison& comparison, const CompiledComparison& test) const {
  const uint32_t size = distinct();
  switch (comparison.op) {
    case Op::kLt:
    case Op::kLe:
      return ValueRun{0, Boundary(test, true, 0, size)};
    case Op::kGt:
    case Op::kGe:
      return ValueRun{Boundary(test, false, 0, size), size};
    default:
      break;
  }
  const auto least = CompileComparison({Op::kGe, comparison.field, {comparison.values.front()}}, *type_);
  if (!least.ok()) {
    return std::nullopt;
  }
  const uint32_t begin = Boundary(**least, false, 0, size);
  if (comparison.op == Op::kPrefix) {
    return ValueRun{begin, Boundary(test, true, begin, size)};
  }
  const auto greatest = CompileComparison({Op::kLe, comparison.field, {comparison.values.back()}}, *type_);
  if (!greatest.ok()) {
    return std::nullopt;
  }
  return ValueRun{begin, Boundary(**greatest, true, begin, size)};
}

std::vector<ValueRun> ColumnIndex::SetOf(const Comparison& comparison) const {
  std::vector<ValueRun> runs;
  for (const std::string& value : comparison.values) {
    const Comparison one{Op::kEq, comparison.field, {value}};
    const auto test = CompileComparison(one, *type_);
    if (const auto run = test.ok() ? RangeOf(one, **test) : std::nullopt) {
      runs.push_back(*run);
    }
  }
  return runs;
}

std::optional<std::vector<ValueRun>> ColumnIndex::PassingValues(const Comparison& comparison,
                                                                const CompiledComparison& test) const {
  if (distinct() <= kAskedSingly) {
    return AskEveryValue(test);
  }
  if (comparison.op == Op::kContains) {
    return std::min<uint64_t>(distinct(), CandidateRows(comparison)) <= kAskedMax
               ? std::optional(VerifiedValues(comparison, test))
               : std::nullopt;
  }
  if (comparison.op == Op::kIn) {
    // A search costs about as much as asking a hundred values.
    return comparison.values.size() * 100 < distinct() ? Merged(SetOf(comparison)) : AskEveryValue(test);
  }
  const std::optional<ValueRun> range = RangeOf(comparison, test);
  return range ? Merged({*range}) : AskEveryValue(test);
}

uint64_t ColumnIndex::CandidateRows(const Comparison& comparison) const {
  const std::optional<uint64_t> values =
      trigrams_ == nullptr ? std::nullopt : trigrams_->CandidatesMax(comparison.values.front());
  return values ? *values * starts_.back() / std::max<uint64_t>(1, distinct()) : starts_.back();
}

std::vector<ValueRun> ColumnIndex::VerifiedValues(const Comparison& comparison, const CompiledComparison& test) const {
  const auto candidates = trigrams_ == nullptr ? std::nullopt : trigrams_->Candidates(comparison.values.front());
  if (!candidates) {
    return AskEveryValue(test);
  }
  std::vector<ValueRun> runs;
  for (const uint32_t value : *candidates) {
    if (Passes(test, value)) {
      runs.push_back({value, value + 1});
    }
  }
  return Merged(std::move(runs));
}

// --- which rows hold them
// ---------------------------------------------------------------------------------------------

uint64_t ColumnIndex::CountRows(std::span<const ValueRun> runs) const {
  uint64_t count = 0;
  for (const ValueRun& run : runs) {
    count += starts_[run.end] - starts_[run.begin];
  }
  return count;
}

// hot path: any range of 100,000 rows in about 5 us.
void ColumnIndex::RowsOf(std::span<const ValueRun> runs, uint64_t* words) const {
  std::fill_n(words, valid_.size(), 0);
  for (const ValueRun& run : runs) {
    const Prefix& first = prefixes_[NearestPrefix(run.begin)];
    const Prefix& last = prefixes_[NearestPrefix(run.end)];
    const auto rows_between = [&](uint32_t a, uint32_t b) {
      return std::max(starts_[a], starts_[b]) - std::min(starts_[a], starts_[b]);
    };
    const size_t beside = rows_between(run.begin, first.values) + rows_between(run.end, last.values);
    if (rows_between(run.begin, run.end) <= beside + valid_.size() / 4) {
      Flip(run.begin, run.end, words);
      continue;
    }
    for (size_t i = 0; i < valid_.size(); ++i) {
      words[i] ^= first.rows[i] ^ last.rows[i];
    }
    Flip(run.begin, first.values, words);
    Flip(run.end, last.values, words);
  }
}

size_t ColumnIndex::NearestPrefix(uint32_t value) const {
  const auto after = std::lower_bound(prefixes_.begin(), prefixes_.end(), value,
                                      [](const Prefix& prefix, uint32_t wanted) { return prefix.values < wanted; });
  const auto index = static_cast<size_t>(after - prefixes_.begin());
  if (index == 0) {
    return 0;
  }
  const uint32_t position = starts_[value];
  return position - starts_[prefixes_[index - 1].values] < starts_[after->values] - position ? index - 1 : index;
}

void ColumnIndex::Flip(uint32_t begin, uint32_t end, uint64_t* words) const {
  if (begin > end) {
    std::swap(begin, end);
  }
  if (inverted()) {
    for (uint32_t value = begin; value < end; ++value) {
      postings_[value].XorInto(words);
    }
    return;
  }
  for (uint32_t i = starts_[begin]; i < starts_[end]; ++i) {
    words[order_[i] / kWordBits] ^= Bit(order_[i]);
  }
}

std::vector<uint32_t> ColumnIndex::RowsInOrder() const {
  std::vector<uint32_t> rows;
  rows.reserve(rows_);
  rows = order_;
  for (const RoaringSet& set : postings_) {
    const std::vector<uint32_t> numbers = set.Numbers();
    rows.insert(rows.end(), numbers.begin(), numbers.end());
  }
  const auto append = [&](auto wanted) {
    for (uint32_t row = 0; row < rows_; ++row) {
      if ((wanted(row / kWordBits) & Bit(row)) != 0) {
        rows.push_back(row);
      }
    }
  };
  if (!ordered_.empty()) {
    append([&](size_t word) { return valid_[word] & ~ordered_[word]; });
  }
  append([&](size_t word) { return ~valid_[word]; });
  return rows;
}

}  // namespace longbow::filter
