// The links of a sealed graph: exactly `degree` a row, every living row reachable.
#pragma once

#include <cstdint>
#include <memory>

#include "base/status.h"
#include "index/active_graph.h"
#include "index/seal_options.h"

namespace longbow::index {

// [rows][degree]: a row with fewer neighbours repeats them; a row that is dead, or was never linked, points to itself.
struct FinalLinks {
  static constexpr uint32_t kDegree = 32;

  LocalId rows = 0;
  ReservedMemory ids;
  std::unique_ptr<const EntryPoints> entries;  // living rows; null if there are none
  uint32_t links_moved = 0;                    // so that every living row is reachable

  const LocalId* at(LocalId id) const { return ids.As<LocalId>() + static_cast<size_t>(id) * kDegree; }
  LocalId* at(LocalId id) { return ids.As<LocalId>() + static_cast<size_t>(id) * kDegree; }
};

// Prunes the lists of an active graph that nobody changes any more, fills what room is left (first with rows that few
// point to, then by a relaxed rule, then with the nearest), and gives rows that no walk reaches a link in place of one
// that no other row depends on. Errors: CANCELLED, DEADLINE_EXCEEDED.
Result<FinalLinks> FinishLinks(const ActiveGraph& graph, const SealOptions& options);

}  // namespace longbow::index
