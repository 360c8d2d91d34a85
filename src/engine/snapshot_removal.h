// Snapshots that nobody needs any more, and the space of what only they had.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/snapshot.h"

namespace longbow::engine {

struct RemovedSnapshots {
  std::vector<std::string> ids;
  uint64_t objects = 0;
  uint64_t bytes = 0;  // of those objects
};

// All but the `keep` youngest of the whole store and of each collection that has snapshots of its own; those that
// cannot be read are not counted and not among them. Takes ListSnapshots' answer.
std::vector<std::string> OlderSnapshots(const std::vector<ListedSnapshot>& snapshots, size_t keep);

// Removes these snapshots, first their indexes and then every object that no other snapshot of the place names; without
// `ids` only such objects, as interrupted snapshots and removals leave them. Nothing else writes there meanwhile: a
// folder that was opened for writing is locked, a bucket's prefix is its owner's matter. NOT_FOUND: one of them is not
// there, and nothing was removed. FAILED_PRECONDITION, likewise: one that stays cannot be read, so nobody knows what it
// needs. After any other error a snapshot is either whole or gone, and the next call goes on.
Result<RemovedSnapshots> RemoveSnapshots(storage::SnapshotTarget& target, const std::vector<std::string>& ids,
                                         const Cancellation* cancellation);

}  // namespace longbow::engine
