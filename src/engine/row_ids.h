// Which row holds an id now.
#pragma once

#include <tsl/robin_map.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <string>

#include "base/random.h"
#include "base/status.h"
#include "model/row_key.h"

namespace longbow::engine {

// id -> ordinal of the newest row with it, be that row alive or dead: deleting an id twice is not an unknown id.
// Numbers and text live in maps of their own: a collection uses one of them. Not thread safe: the shard guards it.
class RowIds {
 public:
  RowIds() : RowIds(SystemSeed()) {}

  std::optional<uint64_t> Find(const RowKey& key) const {
    if (const auto* number = std::get_if<uint64_t>(&key)) {
      const auto found = numbers_.find(*number);
      return found == numbers_.end() ? std::nullopt : std::optional(found->second);
    }
    const auto found = texts_.find(std::get<std::string>(key));
    return found == texts_.end() ? std::nullopt : std::optional(found->second);
  }

  // Of use before many ids are set at once.
  void Reserve(size_t count) {
    if (texts_.empty()) {
      ReserveIn(numbers_, count);
    } else {
      ReserveIn(texts_, count);
    }
  }

  // About: text beyond what a string holds itself is not looked at.
  size_t size_bytes() const {
    constexpr size_t kPlaceBytes = 8;  // what the map adds to each
    return numbers_.bucket_count() * (sizeof(uint64_t) * 2 + kPlaceBytes) +
           texts_.bucket_count() * (sizeof(std::string) + sizeof(uint64_t) + kPlaceBytes);
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
  // The finaliser of MurmurHash3 (Appleby), by a seed that callers cannot know. The number itself would do for ids that
  // count up; a tenant's number above 32 zeros, or two ranges that fall on each other, would fill the same few buckets.
  struct NumberHash {
    size_t operator()(uint64_t number) const {
      number ^= seed;
      number = (number ^ (number >> 33)) * 0xff51afd7ed558ccdULL;
      number = (number ^ (number >> 33)) * 0xc4ceb9fe1a85ec53ULL;
      return number ^ (number >> 33);
    }
    uint64_t seed = 0;
  };

  // Ids are what a collection needs in memory whatever else goes: the library's own 0.5 makes that half as much again.
  static constexpr float kLoadMax = 0.8f;

  // Without a seed from the system the hash is one that callers can know: slower where they mean harm, and not wrong.
  explicit RowIds(const Result<uint64_t>& seed) : numbers_(0, NumberHash{seed.ok() ? *seed : 0}) {
    numbers_.max_load_factor(kLoadMax);
    texts_.max_load_factor(kLoadMax);
  }

  // The map's own reserve() moves every entry, whether there is room or not.
  template <typename Map>
  static void ReserveIn(Map& map, size_t count) {
    const auto room = static_cast<size_t>(static_cast<float>(map.bucket_count()) * map.max_load_factor());
    if (map.size() + count > room) {
      map.reserve(std::max(map.size() + count, 2 * room));
    }
  }

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

  tsl::robin_map<uint64_t, uint64_t, NumberHash> numbers_;
  tsl::robin_map<std::string, uint64_t> texts_;
};

}  // namespace longbow::engine
