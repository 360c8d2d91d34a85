// Which ordinals the rows of a compacted segment have.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/slice.h"

namespace longbow::engine {

// A row keeps its ordinal for life, so a segment that lost its dead rows has holes. Immutable, thread safe.
class RowOrdinals {
 public:
  // offsets: uint32 [rows] in the machine's order, ascending: ordinals minus the segment's first.
  explicit RowOrdinals(Slice offsets) : bytes_(std::move(offsets)) {}
  static RowOrdinals Of(const std::vector<uint32_t>& offsets) {
    return RowOrdinals(Slice::Own({reinterpret_cast<const char*>(offsets.data()), offsets.size() * sizeof(uint32_t)}));
  }

  const Slice& bytes() const { return bytes_; }
  uint32_t rows() const { return static_cast<uint32_t>(bytes_.size() / sizeof(uint32_t)); }
  uint32_t at(uint32_t row) const { return begin()[row]; }
  // None: the row was taken by a compaction, or never was in this segment.
  std::optional<uint32_t> Find(uint64_t offset) const {
    const uint32_t* const found = std::lower_bound(begin(), begin() + rows(), offset);
    return found != begin() + rows() && *found == offset ? std::optional(static_cast<uint32_t>(found - begin()))
                                                         : std::nullopt;
  }
  // Whether they can be what they say: ascending and below `end`.
  bool IsAscendingBelow(uint64_t end) const {
    for (uint32_t row = 1; row < rows(); ++row) {
      if (at(row - 1) >= at(row)) {
        return false;
      }
    }
    return rows() == 0 || at(rows() - 1) < end;
  }

 private:
  const uint32_t* begin() const { return reinterpret_cast<const uint32_t*>(bytes_.data()); }

  Slice bytes_;
};

// Finds rows of ascending ordinals, one after the other, without a search for each.
class RowOrdinalsCursor {
 public:
  explicit RowOrdinalsCursor(const RowOrdinals& ordinals) : ordinals_(ordinals) {}

  // As RowOrdinals::Find; offsets must not fall from call to call.
  std::optional<uint32_t> Find(uint64_t offset) {
    while (row_ < ordinals_.rows() && ordinals_.at(row_) < offset) {
      ++row_;
    }
    return row_ < ordinals_.rows() && ordinals_.at(row_) == offset ? std::optional(row_) : std::nullopt;
  }

 private:
  const RowOrdinals& ordinals_;
  uint32_t row_ = 0;
};

}  // namespace longbow::engine
