// Rows that passed predicates before: clients ask with the same few filters again and again.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "model/predicate.h"

namespace longbow::engine {

// One bit per row of the segment; empty where nothing was filtered.
struct Selection {
  uint32_t rows = 0;  // that were looked at
  std::vector<uint64_t> bits;
  uint64_t count = 0;  // bits set
};

// The selections of one segment, by predicate. A row's columns never change and deletes are no matter of theirs, so
// what passed once passes for ever; only rows that came later are not in it. The least recently used go first. Thread
// safe.
class SelectionCache {
 public:
  static constexpr size_t kSelectionsMax = 16;  // an eighth of a byte a row each

  // Of exactly the first `rows` rows; null: not there.
  std::shared_ptr<const Selection> Find(const std::string& key, uint32_t rows);
  void Keep(const std::string& key, std::shared_ptr<const Selection> selection);
  size_t size_bytes() const;
  void Clear();

  // Equal for equal predicates on one version of the schema: all of it, values included, in an order that cannot be
  // read two ways. A column that widens may answer otherwise: 0.1 as float32 is no float64 0.1.
  static std::string KeyOf(const Predicate& predicate, uint64_t schema_version);

 private:
  struct Kept {
    std::string key;
    std::shared_ptr<const Selection> selection;
  };

  mutable std::mutex mu_;
  std::list<Kept> kept_;  // guarded by mu_; last used first
};

}  // namespace longbow::engine
