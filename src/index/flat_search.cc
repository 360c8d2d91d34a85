// hot path: the tail of every search, and narrow filters. Budget: memory bandwidth, about 20 GB/s a core.
#include "index/flat_search.h"

#include <algorithm>
#include <array>
#include <bit>

#include "index/nearest_heap.h"
#include "index/query_distance.h"

namespace longbow::index {
namespace {

constexpr size_t kBlockRows = 64;            // a word of the filter's bitmap
constexpr size_t kGatherRows = 128;          // gathered ids measured at once
constexpr size_t kRowsBetweenChecks = 4096;  // of cancellation

// Bit i: the filter contains row `word` * 64 + i.
uint64_t ContainedOf(const RowFilter& filter, size_t word) {
  const auto first = static_cast<LocalId>(word * kBlockRows);
  uint64_t bits = filter.passing == nullptr ? ~uint64_t{0} : filter.passing[word];
  if (filter.begin > first) {
    bits &= ~uint64_t{0} << (filter.begin - first);  // the first word only: begin lies in it
  }
  if (filter.end - first < kBlockRows) {
    bits &= (uint64_t{1} << (filter.end - first)) - 1;
  }
  if (filter.expires_at != nullptr) {
    for (uint64_t rest = bits; rest != 0; rest &= rest - 1) {
      const int i = std::countr_zero(rest);
      bits &= ~(static_cast<uint64_t>(filter.HasExpired(first + static_cast<LocalId>(i))) << i);
    }
  }
  if (filter.deleted_at == nullptr) {
    return bits;
  }
  for (uint64_t rest = bits; rest != 0; rest &= rest - 1) {
    const int i = std::countr_zero(rest);
    const uint64_t died = filter.deleted_at[first + static_cast<LocalId>(i)].load(std::memory_order_relaxed);
    bits &= ~(static_cast<uint64_t>(died != 0 && died <= filter.version) << i);
  }
  return bits;
}

class Scan {
 public:
  Scan(const VectorRows& rows, const TypedQuery& query, size_t k) : distance_(rows, query), nearest_(k) {}

  void Block(LocalId first) {
    distance_.ToRange(first, kBlockRows, distances_.data());
    for (size_t i = 0; i < kBlockRows; ++i) {
      nearest_.Add({distances_[i], first + static_cast<LocalId>(i)});
    }
  }

  void Gather(LocalId first, uint64_t contained) {
    if (ids_count_ + kBlockRows > kGatherRows) {
      Flush();
    }
    for (uint64_t rest = contained; rest != 0; rest &= rest - 1) {
      ids_[ids_count_++] = first + static_cast<LocalId>(std::countr_zero(rest));
    }
  }

  void Flush() {
    distance_.ToIds(ids_.data(), ids_count_, distances_.data());
    for (size_t i = 0; i < ids_count_; ++i) {
      nearest_.Add({distances_[i], ids_[i]});
    }
    ids_count_ = 0;
  }

  std::vector<Neighbor> Finish(size_t k) {
    Flush();
    return nearest_.TakeNearest(k);
  }

 private:
  const QueryDistance distance_;
  NearestHeap<Neighbor> nearest_;
  size_t ids_count_ = 0;
  std::array<LocalId, kGatherRows> ids_;
  std::array<double, kGatherRows> distances_;
};

}  // namespace

Result<std::vector<Neighbor>> FlatSearch(const VectorRows& rows, const TypedQuery& query,
                                         const SearchOptions& options) {
  const RowFilter& filter = options.filter;
  const LocalId end = std::min(filter.end, rows.capacity());
  if (options.k == 0 || filter.begin >= end) {
    return std::vector<Neighbor>();
  }
  RowFilter within = filter;
  within.end = end;
  Scan scan(rows, query, options.k);
  uint64_t visited = 0;
  size_t measured = kRowsBetweenChecks;  // so that the first word checks: a cancelled search does no work
  for (size_t word = filter.begin / kBlockRows; word * kBlockRows < end; ++word) {
    if (measured >= kRowsBetweenChecks && options.cancellation != nullptr) {
      LB_TRY(options.cancellation->Check());
      measured = 0;
    }
    const uint64_t contained = ContainedOf(within, word);
    const auto first = static_cast<LocalId>(word * kBlockRows);
    if (contained == ~uint64_t{0}) {
      scan.Block(first);
    } else {
      scan.Gather(first, contained);
    }
    visited += static_cast<uint64_t>(std::popcount(contained));
    measured += static_cast<size_t>(std::popcount(contained)) + 1;  // an empty word counts too: its check is not free
  }
  if (options.counters != nullptr) {
    options.counters->visited += visited;
    options.counters->filtered += end - filter.begin - visited;
  }
  return scan.Finish(options.k);
}

}  // namespace longbow::index
