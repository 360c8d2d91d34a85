// Which row holds an id now.
#pragma once

#include <tsl/robin_map.h>

#include <cstdint>
#include <optional>
#include <string>

#include "model/row_key.h"

namespace longbow::engine {

// id -> ordinal of the newest row with it, be that row alive or dead: deleting an id twice is not an unknown id.
// Numbers and text live in maps of their own: a collection uses one of them. Not thread safe: the shard guards it.
class RowIds {
 public:
  std::optional<uint64_t> Find(const RowKey& key) const {
    if (const auto* number = std::get_if<uint64_t>(&key)) {
      const auto found = numbers_.find(*number);
      return found == numbers_.end() ? std::nullopt : std::optional(found->second);
    }
    const auto found = texts_.find(std::get<std::string>(key));
    return found == texts_.end() ? std::nullopt : std::optional(found->second);
  }

  // Of some use before `count` ids more are set; of none, but no harm, where they turn out to be known.
  void Reserve(size_t count) {
    numbers_.reserve(numbers_.size() + (texts_.empty() ? count : 0));
    texts_.reserve(texts_.size() + (texts_.empty() ? 0 : count));
  }

  // Does so if the id is still that row's.
  void Forget(const RowKey& key, uint64_t ordinal) {
    if (Find(key) != ordinal) {
      return;
    }
    if (const auto* number = std::get_if<uint64_t>(&key)) {
      numbers_.erase(*number);
    } else {
      texts_.erase(std::get<std::string>(key));
    }
  }

  // Points the id at `ordinal`; returns the row that held it before.
  std::optional<uint64_t> Set(const RowKey& key, uint64_t ordinal) {
    if (const auto* number = std::get_if<uint64_t>(&key)) {
      return SetIn(numbers_, *number, ordinal);
    }
    return SetIn(texts_, std::get<std::string>(key), ordinal);
  }

 private:
  template <typename Map, typename Key>
  static std::optional<uint64_t> SetIn(Map& map, const Key& key, uint64_t ordinal) {
    const auto [place, inserted] = map.try_emplace(key, ordinal);
    if (inserted) {
      return std::nullopt;
    }
    const uint64_t before = place->second;
    place.value() = ordinal;
    return before;
  }

  tsl::robin_map<uint64_t, uint64_t> numbers_;
  tsl::robin_map<std::string, uint64_t> texts_;
};

}  // namespace longbow::engine
