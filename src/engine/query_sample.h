// A few of the queries that a segment was asked, kept for learning and for checks.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "model/query_vector.h"

namespace longbow::engine {

// One query in kEvery is kept, the last kKept of these. Searches never wait here: a query that meets a lock is not
// kept. Thread safe.
class QuerySample {
 public:
  struct Asked {
    QueryVector vector;
    uint32_t k = 0;
    uint32_t ef = 0;           // 0 if a recall was asked for
    double recall_target = 0;  // 0 if not
  };
  static constexpr uint64_t kEvery = 8;
  static constexpr size_t kKept = 128;

  void Note(const QueryVector& vector, uint32_t k, uint32_t ef, double recall_target) {
    const uint64_t number = asked_.fetch_add(1, std::memory_order_relaxed);
    if (number % kEvery != 0) {
      return;
    }
    const std::unique_lock lock(mu_, std::try_to_lock);
    if (!lock.owns_lock()) {
      return;
    }
    if (kept_.size() < kKept) {
      kept_.push_back(vector);
    } else {
      kept_[noted_ % kKept] = vector;
    }
    ++noted_;
    last_ = {vector, k, ef, recall_target};
  }

  // Queries kept so far, those included that gave way to later ones.
  uint64_t noted() const {
    const std::lock_guard lock(mu_);
    return noted_;
  }
  std::vector<QueryVector> kept() const {
    const std::lock_guard lock(mu_);
    return kept_;
  }
  // The latest, once.
  std::optional<Asked> TakeLast() {
    const std::lock_guard lock(mu_);
    return std::exchange(last_, std::nullopt);
  }

 private:
  std::atomic<uint64_t> asked_{0};
  mutable std::mutex mu_;
  uint64_t noted_ = 0;             // guarded by mu_
  std::vector<QueryVector> kept_;  // guarded by mu_
  std::optional<Asked> last_;      // guarded by mu_
};

}  // namespace longbow::engine
