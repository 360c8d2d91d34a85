// When the rows of a segment end.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "engine/zeroed_array.h"
#include "model/expiry.h"

namespace arrow {
class Array;
}

namespace longbow::engine {

// A time for each row, written by the shard's one writer before a view names the row; readers read those of their view.
class ExpiryTimes {
 public:
  explicit ExpiryTimes(uint32_t rows_max) : times_(rows_max) {}

  // [rows_max]: ns since 1970, 0 = never. Null: there was no memory for it.
  const std::atomic<int64_t>* data() const { return times_.data(); }

  // ---- writer ----
  // The times of the rows from `first_row` on: an expiry column.
  void Set(uint32_t first_row, const arrow::Array& times);
  // No row that Sweep would give ends earlier.
  int64_t next_ns() const { return next_ns_; }
  // Calls `expire(row)` for each of the first `rows` rows that is not deleted yet and ends by `time_ns`.
  template <typename Expire>
  void Sweep(int64_t time_ns, uint32_t rows, const std::atomic<uint64_t>* deleted_at, Expire expire) {
    next_ns_ = kNeverNs;
    for (size_t block = 0; block < block_next_ns_.size(); ++block) {
      if (block_next_ns_[block] <= time_ns) {
        const auto begin = static_cast<uint32_t>(block * kBlockRows);
        block_next_ns_[block] = SweepRows(time_ns, begin, std::min(rows, begin + kBlockRows), deleted_at, expire);
      }
      next_ns_ = std::min(next_ns_, block_next_ns_[block]);
    }
  }

 private:
  static constexpr uint32_t kBlockRows = 4096;  // what a sweep has to look at for one row that ended

  // The earliest end after `time_ns` of rows [begin, end).
  template <typename Expire>
  int64_t SweepRows(int64_t time_ns, uint32_t begin, uint32_t end, const std::atomic<uint64_t>* deleted_at,
                    Expire expire) {
    int64_t next_ns = kNeverNs;
    for (uint32_t row = begin; row < end; ++row) {
      const int64_t time = times_[row].load(std::memory_order_relaxed);
      if (time == 0 || deleted_at[row].load(std::memory_order_relaxed) != 0) {
        continue;
      }
      if (time > time_ns) {
        next_ns = std::min(next_ns, time);
      } else {
        expire(row);
      }
    }
    return next_ns;
  }

  ZeroedArray<int64_t> times_;
  int64_t next_ns_ = kNeverNs;
  std::vector<int64_t> block_next_ns_;  // of each kBlockRows rows
};

}  // namespace longbow::engine
