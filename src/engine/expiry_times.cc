#include "engine/expiry_times.h"

#include <arrow/array.h>

namespace longbow::engine {

void ExpiryTimes::Set(uint32_t first_row, const arrow::Array& times) {
  for (int64_t i = 0; i < times.length(); ++i) {
    const int64_t end_ns = ExpiryNsAt(times, i);
    if (end_ns == kNeverNs) {
      continue;
    }
    const uint32_t row = first_row + static_cast<uint32_t>(i);
    times_[row].store(std::max<int64_t>(1, end_ns), std::memory_order_relaxed);  // 0 is for those that never end
    const size_t block = row / kBlockRows;
    if (block >= block_next_ns_.size()) {
      block_next_ns_.resize(block + 1, kNeverNs);
    }
    block_next_ns_[block] = std::min(block_next_ns_[block], end_ns);
    next_ns_ = std::min(next_ns_, end_ns);
  }
}

}  // namespace longbow::engine
