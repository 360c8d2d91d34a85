// What every index over the rows of one segment offers, whatever its layout.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "index/typed_query.h"
#include "index/walk_stages.h"

namespace longbow::index {

using LocalId = uint32_t;  // row within a segment, from 0
inline constexpr LocalId kNoRow = UINT32_MAX;

struct Neighbor {
  double distance = 0;  // as model/metric.h: smaller is nearer
  LocalId id = 0;

  // Nearest first; equal distances by lower id, so that results are deterministic.
  friend bool operator<(const Neighbor& a, const Neighbor& b) {
    return a.distance < b.distance || (a.distance == b.distance && a.id < b.id);
  }
};

// Which rows a reader may see: those of its pinned version that pass its predicate. Plain data, no virtual call per
// row.
struct RowFilter {
  LocalId begin = 0;  // rows [begin, end) exist for this reader
  LocalId end = 0;
  const std::atomic<uint64_t>* deleted_at =
      nullptr;                        // [capacity]: version that deleted the row, 0 = alive; may be null
  uint64_t version = 0;               // the reader's version: later deletes are not seen
  const uint64_t* passing = nullptr;  // bitmap of rows that pass the predicate; null = all
  // [capacity]: when a row expires, ns since 1970, 0 = never; null unless some of the rows may have expired by `now_ns`
  const std::atomic<int64_t>* expires_at = nullptr;
  int64_t now_ns = 0;

  bool Contains(LocalId id) const {
    if (id < begin || id >= end) {
      return false;
    }
    if (passing != nullptr && ((passing[id >> 6] >> (id & 63)) & 1) == 0) {
      return false;
    }
    if (deleted_at != nullptr) {
      const uint64_t died = deleted_at[id].load(std::memory_order_relaxed);
      if (died != 0 && died <= version) {
        return false;
      }
    }
    return expires_at == nullptr || !HasExpired(id);
  }
  // Only with expires_at.
  bool HasExpired(LocalId id) const {
    const int64_t end = expires_at[id].load(std::memory_order_relaxed);
    return end != 0 && end <= now_ns;
  }
};

// What searches did, added up; written by one search at a time.
struct SearchCounters {
  uint64_t visited = 0;   // rows whose distance was computed or estimated
  uint64_t refined = 0;   // of them measured again, more exactly
  uint64_t filtered = 0;  // rows near enough for the result that the filter does not contain
  uint64_t ef = 0;        // of the widest walk
  float spread = 0;       // of the last walk by a stop rule, see WalkStages

  void Add(const SearchCounters& other) {
    visited += other.visited;
    refined += other.refined;
    filtered += other.filtered;
    ef = std::max(ef, other.ef);
    spread = other.spread;
  }
};

struct SearchOptions {
  uint32_t k = 10;
  uint32_t ef = 128;               // graph indexes: beam width, raised to k; flat ones ignore it
  const StopRule* stop = nullptr;  // graph indexes: in the place of ef when given
  LocalId left_out = kNoRow;       // graph indexes: a row that is neither found nor walked through, as if never put
  RowFilter filter;
  float passing_share = 1;  // of the rows, that filter.passing lets through: about; sealed graphs walk by it
  // Whether distances are those of the rows; otherwise they may be those of codes: right to about 1e-5 of the norms in
  // a sealed graph, to 1e-2 in a lean one.
  bool exact_distances = true;
  const Cancellation* cancellation = nullptr;  // checked inside the loop when given
  SearchCounters* counters = nullptr;          // added to when given
};

// Thread safe for any number of searches beside the writers its implementation allows.
class VectorIndex {
 public:
  virtual ~VectorIndex() = default;

  // At most k rows that the filter contains, nearest first. `query`: [dimension], made for the rows' type. Approximate
  // indexes may return fewer than k although k exist: the caller decides what to do then. Errors: CANCELLED,
  // DEADLINE_EXCEEDED.
  virtual Result<std::vector<Neighbor>> Search(const TypedQuery& query, const SearchOptions& options) const = 0;
};

}  // namespace longbow::index
