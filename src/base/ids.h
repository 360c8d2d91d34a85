// Ids are types, not integers: mixing two kinds does not compile.
#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace longbow {

// An integer with a name. Ordered, hashable, no arithmetic but Next().
template <typename Tag, typename Int = uint64_t>
struct NamedInt {
  Int value = 0;

  auto operator<=>(const NamedInt&) const = default;
  NamedInt Next() const { return {static_cast<Int>(value + 1)}; }
};

using ShardId = NamedInt<struct ShardIdTag, uint32_t>;      // a collection's shard; 0 is the catalog of the node
using SegmentId = NamedInt<struct SegmentIdTag, uint32_t>;  // unique within a shard
using Term = NamedInt<struct TermTag>;                      // Raft term; 1 on a standalone node
using LogIndex = NamedInt<struct LogIndexTag>;              // position of an entry within its shard, from 1
using Lsn = NamedInt<struct LsnTag>;                        // position of a record within the node's log, from 1

}  // namespace longbow

template <typename Tag, typename Int>
struct std::hash<longbow::NamedInt<Tag, Int>> {
  size_t operator()(const longbow::NamedInt<Tag, Int>& id) const noexcept { return std::hash<Int>()(id.value); }
};
