// What keeps an active graph whole while rows die: lists without the dead, and no row that walks cannot reach.
#include <algorithm>

#include "index/active_graph.h"

namespace longbow::index {
namespace {

constexpr size_t kRepairEf = 64;

bool IsIn(const uint64_t* bitmap, LocalId id) { return ((bitmap[id >> 6] >> (id & 63)) & 1) != 0; }

// To each of the rows once, nearest first.
std::vector<Edge> EdgesFrom(LocalId id, std::vector<LocalId> rows, const RowCodes& codes, RowProbe& probe) {
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  std::vector<int32_t> dots(rows.size());
  std::vector<float> distances(rows.size());
  probe.Aim(codes, id);
  KeysOf(codes, probe.probe(), rows.data(), rows.size(), dots.data(), distances.data());
  std::vector<Edge> edges(rows.size());
  for (size_t i = 0; i < rows.size(); ++i) {
    edges[i] = {std::max(0.0f, distances[i]), rows[i]};
  }
  std::sort(edges.begin(), edges.end());
  return edges;
}

}  // namespace

// The rows that walks from the entry points can come to.
class ActiveGraph::Reachable {
 public:
  // A cancelled one is not complete.
  Reachable(const ActiveGraph& graph, const Cancellation* cancellation)
      : graph_(graph), cancellation_(cancellation), bits_(graph.rows_->capacity() / 64 + 1) {
    for (const LocalId id : graph.entries().ids) {
      Spread(id);
    }
  }

  bool Contains(LocalId id) const { return IsIn(bits_.data(), id); }

  // The row can be reached now, and with it whatever it leads to.
  void Spread(LocalId from) {
    Add(from);
    for (size_t step = 1; !frontier_.empty(); ++step) {
      if (step % kStepsBetweenChecks == 0 && IsCancelled(cancellation_)) {
        return;
      }
      const LocalId id = frontier_.back();
      frontier_.pop_back();
      const uint32_t degree = graph_.links_->Degree(id);
      for (uint32_t slot = 0; slot < degree; ++slot) {
        Add(graph_.links_->At(id, slot));
      }
    }
  }

 private:
  void Add(LocalId id) {
    if (!Contains(id)) {
      bits_[id >> 6] |= uint64_t{1} << (id & 63);
      frontier_.push_back(id);
    }
  }

  static constexpr size_t kStepsBetweenChecks = 256;

  const ActiveGraph& graph_;
  const Cancellation* const cancellation_;
  std::vector<uint64_t> bits_;
  std::vector<LocalId> frontier_;
};

// A dead neighbour's place goes to one of its own, first to those that no living neighbour makes needless, or hardly,
// then to the nearest. The living stay: pruned like a new row's, lists would lose a third of their links with every
// round of changes, and with them recall.
uint32_t ActiveGraph::UnlinkRow(const uint64_t* dead, LocalId id, Scratch& scratch) {
  const SlackLinks::Lock lock(*links_, id);
  const uint32_t degree = links_->Degree(id);
  std::vector<Edge>& edges = scratch.edges;
  edges.clear();
  std::vector<LocalId> of_dead;
  for (uint32_t slot = 0; slot < degree; ++slot) {
    const Edge edge = links_->EdgeAt(id, slot);
    if (!IsIn(dead, edge.id)) {
      edges.push_back(edge);
      continue;
    }
    const uint32_t dead_degree = links_->Degree(edge.id);
    for (uint32_t i = 0; i < dead_degree; ++i) {
      const LocalId heir = links_->At(edge.id, i);
      if (heir != id && !IsIn(dead, heir)) {
        of_dead.push_back(heir);
      }
    }
  }
  if (edges.size() == degree) {
    return 0;
  }
  std::sort(edges.begin(), edges.end());
  std::vector<Edge> heirs = EdgesFrom(id, std::move(of_dead), *codes_, scratch.probe);
  std::erase_if(heirs, [&](const Edge& heir) {
    return std::any_of(edges.begin(), edges.end(), [&](const Edge& edge) { return edge.id == heir.id; });
  });
  const auto take = [&](const auto& wanted) {
    std::erase_if(heirs, [&](const Edge& heir) {
      const bool takes = edges.size() < degree && wanted(heir);
      if (takes) {
        edges.push_back(heir);
      }
      return takes;
    });
  };
  take([&](const Edge& heir) { return !scratch.pruner.Occluded(*codes_, edges, heir, 1.0f); });
  take([&](const Edge& heir) { return !scratch.pruner.Occluded(*codes_, edges, heir, kRelaxedPruneFactor); });
  take([](const Edge&) { return true; });
  links_->Replace(id, edges);
  return 1;
}

uint32_t ActiveGraph::Unlink(const uint64_t* dead, LocalId begin, LocalId end) {
  const auto lease = scratch_.Take();
  uint32_t changed = 0;
  for (LocalId id = begin; id < end; ++id) {
    if (links_->IsLinked(id) && !IsIn(dead, id)) {
      changed += UnlinkRow(dead, id, *lease);
    }
  }
  return changed;
}

void ActiveGraph::FreeRows(const uint64_t* dead, LocalId begin, LocalId end) {
  for (LocalId id = begin; id < end; ++id) {
    if (IsIn(dead, id) && links_->IsLinked(id)) {
      const SlackLinks::Lock lock(*links_, id);
      links_->Free(id);
    }
  }
  const std::lock_guard lock(entries_mu_);
  const EntryPoints* const entries = entries_.load(std::memory_order_acquire);
  if (entries == nullptr ||
      std::all_of(entries->ids.begin(), entries->ids.end(), [this](LocalId id) { return links_->IsLinked(id); })) {
    return;
  }
  std::vector<LocalId> living;
  for (LocalId id = 0; id < rows_end(); ++id) {
    if (links_->IsLinked(id)) {
      living.push_back(id);
    }
  }
  if (!living.empty()) {
    SetEntries(std::move(living));
  }
}

// Links an unreachable row from the nearest row that has room: of those a walk finds, else of those that they point to
// (among thousands of equal rows the first are full, the leaves behind them are not).
bool ActiveGraph::LinkIsland(LocalId id, const Reachable& reachable, Scratch& scratch) {
  scratch.probe.Aim(*codes_, id);
  (void)Walk(scratch.probe.probe(), {.ef = kRepairEf, .starts = 4}, scratch);
  std::vector<Edge> near;
  for (size_t i = 0; i < scratch.pool.size(); ++i) {
    near.push_back({std::max(0.0f, FloatOfKey(scratch.pool[i])), IdOfKey(scratch.pool[i])});
  }
  return LinkFromOneOf(near, id, reachable) || LinkFromOneOf(NeighborsOf(near, id, scratch), id, reachable);
}

bool ActiveGraph::LinkFromOneOf(const std::vector<Edge>& near, LocalId id, const Reachable& reachable) {
  for (const Edge& edge : near) {
    if (edge.id == id || !reachable.Contains(edge.id)) {
      continue;
    }
    const SlackLinks::Lock lock(*links_, edge.id);
    if (links_->IsLinked(edge.id) && links_->Append(edge.id, {edge.distance, id})) {
      return true;
    }
  }
  return false;
}

std::vector<Edge> ActiveGraph::NeighborsOf(const std::vector<Edge>& rows, LocalId id, Scratch& scratch) const {
  std::vector<LocalId> ids;
  for (const Edge& row : rows) {
    for (uint32_t slot = 0; slot < links_->Degree(row.id); ++slot) {
      ids.push_back(links_->At(row.id, slot));
    }
  }
  return EdgesFrom(id, std::move(ids), *codes_, scratch.probe);
}

RepairReport ActiveGraph::Repair(const Cancellation* cancellation) {
  RepairReport report;
  if (entries_.load(std::memory_order_acquire) == nullptr) {
    return report;
  }
  const auto lease = scratch_.Take();
  const LocalId end = rows_end();
  // Insertions meanwhile may prune away what a round added: the next one finds it.
  constexpr int kRoundsMax = 4;
  for (int round = 0; round < kRoundsMax; ++round) {
    Reachable reachable(*this, cancellation);
    uint32_t unreachable = 0;
    uint32_t linked = 0;
    for (LocalId id = 0; id < end; ++id) {
      if (!links_->IsLinked(id)) {
        continue;
      }
      ++linked;
      if (reachable.Contains(id)) {
        continue;
      }
      if (IsCancelled(cancellation)) {
        return report;  // nor is it known what can be reached
      }
      ++unreachable;
      if (LinkIsland(id, reachable, *lease)) {
        ++report.links_added;
        reachable.Spread(id);
      }
    }
    if (round == 0) {
      report.linked_rows = linked;
    }
    report.unreachable_rows += round == 0 ? unreachable : 0;
    if (unreachable == 0) {
      break;
    }
  }
  return report;
}

uint32_t ActiveGraph::CountUnreachableRows() const {
  if (entries_.load(std::memory_order_acquire) == nullptr) {
    return 0;
  }
  const Reachable reachable(*this, nullptr);
  uint32_t count = 0;
  for (LocalId id = 0; id < rows_end(); ++id) {
    count += links_->IsLinked(id) && !reachable.Contains(id) ? 1 : 0;
  }
  return count;
}

void ActiveGraph::DropLinksTo(LocalId id) {
  for (LocalId from = 0; from < rows_end(); ++from) {
    const SlackLinks::Lock lock(*links_, from);
    std::vector<Edge> edges;
    const uint32_t degree = links_->Degree(from);
    for (uint32_t slot = 0; slot < degree; ++slot) {
      if (const Edge edge = links_->EdgeAt(from, slot); edge.id != id) {
        edges.push_back(edge);
      }
    }
    links_->Replace(from, edges);
  }
}

}  // namespace longbow::index
