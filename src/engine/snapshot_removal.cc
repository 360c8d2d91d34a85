#include "engine/snapshot_removal.h"

#include <algorithm>
#include <map>
#include <set>

#include "base/kill_point.h"
#include "base/parallel_for.h"
#include "engine/snapshot_retry.h"

namespace longbow::engine {
namespace {

using storage::SnapshotFile;
using storage::SnapshotTarget;

// Objects of the snapshots that stay.
Result<std::set<std::string>> NamedObjects(const std::vector<ListedSnapshot>& snapshots,
                                           const std::set<std::string>& going) {
  std::set<std::string> named;
  for (const ListedSnapshot& snapshot : snapshots) {
    if (going.contains(snapshot.index.id)) {
      continue;
    }
    if (!snapshot.status.ok()) {
      return FailedPrecondition("nothing was removed: snapshot " + snapshot.index.id +
                                " cannot be read, so what it needs is not known (" +
                                std::string(snapshot.status.message()) + "); remove it too, by its id");
    }
    for (const SnapshotFile& file : snapshot.index.files) {
      named.insert(file.object());
    }
  }
  return named;
}

}  // namespace

std::vector<std::string> OlderSnapshots(const std::vector<ListedSnapshot>& snapshots, size_t keep) {
  std::map<std::string, size_t> kept;  // by collection
  std::vector<std::string> older;
  for (auto snapshot = snapshots.rbegin(); snapshot != snapshots.rend(); ++snapshot) {
    if (snapshot->status.ok() && ++kept[snapshot->index.collection] > keep) {
      older.push_back(snapshot->index.id);
    }
  }
  return older;
}

Result<RemovedSnapshots> RemoveSnapshots(storage::SnapshotTarget& target, const std::vector<std::string>& ids,
                                         const Cancellation* cancellation) {
  LB_ASSIGN(const std::vector<ListedSnapshot> snapshots, ListSnapshots(target));
  const std::set<std::string> going(ids.begin(), ids.end());
  for (const std::string& id : going) {
    if (std::none_of(snapshots.begin(), snapshots.end(), [&](const auto& known) { return known.index.id == id; })) {
      return NotFound("nothing was removed: there is no snapshot " + id + " in '" + target.where() +
                      "'; `longbow snapshots` lists them");
    }
  }
  LB_ASSIGN(const std::set<std::string> named, NamedObjects(snapshots, going));
  RemovedSnapshots removed;
  for (const std::string& id : going) {
    LB_TRY(RetryUnavailable(cancellation, [&] { return target.Remove(storage::SnapshotIndexName(id)); }));
    removed.ids.push_back(id);
    LB_KILL_POINT("snapshot.index.removed");
  }
  LB_TRY(target.Sync());  // an index must not come back without its objects
  LB_KILL_POINT("snapshot.removal.synced");
  LB_ASSIGN(std::vector<SnapshotTarget::Object> objects, target.List("objects"));
  std::erase_if(objects, [&](const auto& object) { return named.contains("objects/" + object.name); });
  LB_TRY(ParallelFor(objects.size(), {.threads = target.streams()}, [&](size_t begin, size_t end) -> Status {
    for (size_t i = begin; i < end; ++i) {
      LB_TRY(RetryUnavailable(cancellation, [&] { return target.Remove("objects/" + objects[i].name); }));
      LB_KILL_POINT("snapshot.object.removed");
    }
    return {};
  }));
  LB_TRY(target.Sync());
  removed.objects = objects.size();
  for (const SnapshotTarget::Object& object : objects) {
    removed.bytes += object.size_bytes;
  }
  return removed;
}

}  // namespace longbow::engine
