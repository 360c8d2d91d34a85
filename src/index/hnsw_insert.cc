// hot path: insertion, algorithm 1 of the paper made safe for many threads. Budget: 1 ms at 100,000 rows of 384 values,
// most of it in the walk.
//
// Nobody can see a new row before its own lists are complete: walks that reach it find a way on. Its levels are linked
// from the lowest up for the same reason. Candidates are collected before the row is visible, so a row's parent is
// always one that was visible earlier, and the tree has no cycle.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "index/hnsw.h"

namespace longbow::index {
namespace {

[[noreturn]] void StopBadInsert(LocalId id, uint32_t capacity) {
  std::fprintf(stderr, "bug: row %u inserted into a graph of %u rows %s\n", id, capacity,
               id < capacity ? "a second time" : "lies behind its end");
  std::abort();
}

// Leaves the kept links in the list, each where it was as far as possible, the others moved into the gaps before their
// old places are cleared: a reader meanwhile, however long the writer is kept from its core, misses none of them.
void Rewrite(LinkList list, const std::vector<LinkCandidate>& kept) {
  std::vector<bool> stays(kept.size());
  std::vector<Link> moved;
  for (const LinkCandidate& candidate : kept) {
    if (candidate.slot < kept.size()) {
      stays[candidate.slot] = true;
    } else {
      moved.push_back({candidate.neighbor.id, candidate.kind});
    }
  }
  for (uint32_t slot = 0; slot < kept.size(); ++slot) {
    if (!stays[slot]) {
      list.Set(slot, moved.back());
      moved.pop_back();
    }
  }
  list.Truncate(static_cast<uint32_t>(kept.size()));
}

}  // namespace

void Hnsw::Insert(LocalId id) {
  if (id >= rows_->capacity() || !links_->Claim(id)) {
    StopBadInsert(id, rows_->capacity());
  }
  const uint32_t level = links_->LevelOf(id);
  auto entry = LoadEntry();
  if (!entry && SetFirstEntry(id, level)) {
    inserted_rows_.fetch_add(1, std::memory_order_acq_rel);
    return;
  }
  entry = LoadEntry();

  std::vector<Neighbors> near(std::min(level, entry->level) + 1);  // by level
  {
    const WalkScratchPool::Lease lease = scratch_.Take();
    WalkScratch& scratch = *lease;
    const QueryDistance distance(*rows_, id);
    Neighbor nearest = Descend(distance, *entry, static_cast<uint32_t>(near.size() - 1), scratch);
    for (size_t l = near.size(); l-- > 0;) {
      WalkForInsert(distance, static_cast<uint32_t>(l), nearest, scratch);
      scratch.beam.Nearest(options_.ef_construction, &near[l]);
      scratch.visited.Clear();
      nearest = near[l].front();
    }
  }
  for (size_t l = 0; l < near.size(); ++l) {
    Connect(id, static_cast<uint32_t>(l), near[l]);
  }
  RaiseEntry(id, level);
  inserted_rows_.fetch_add(1, std::memory_order_acq_rel);
}

void Hnsw::Select(const Neighbors& near, std::vector<LinkCandidate>* selected) const {
  std::vector<LinkCandidate> candidates;
  candidates.reserve(near.size());
  for (const Neighbor& neighbor : near) {
    candidates.push_back({.neighbor = neighbor});
  }
  SelectNeighbors(*rows_, candidates, options_.m, selected);
}

// Writes the row's own list, then makes others point to it.
void Hnsw::Connect(LocalId id, uint32_t level, const Neighbors& near) {
  std::vector<LinkCandidate> selected;
  Select(near, &selected);
  LinkList own = links_->At(id, level);
  for (size_t i = 0; i < selected.size(); ++i) {
    own.Set(static_cast<uint32_t>(i), {selected[i].neighbor.id, LinkKind::kPlain});
  }
  const LocalId parent = level == 0 ? JoinTree(id, near, own) : id;
  for (const LinkCandidate& neighbor : selected) {
    if (neighbor.neighbor.id != parent) {
      AddLink(neighbor.neighbor.id, level, {id, LinkKind::kPlain});
    }
  }
}

// Finds the row a parent, the nearest that has room for a child, and returns it. From here on the row is visible.
LocalId Hnsw::JoinTree(LocalId id, const Neighbors& near, LinkList own) {
  for (const Neighbor& candidate : near) {
    if (Adopt(candidate.id, id, own)) {
      return candidate.id;
    }
  }
  // All of them are full, as among thousands of identical rows. Below any of them the tree has leaves, which have room.
  LocalId parent = near.front().id;
  for (LocalId salt = id; !Adopt(parent, id, own); ++salt) {
    parent = NearestChildOf(parent, id, salt);
  }
  return parent;
}

bool Hnsw::Adopt(LocalId parent, LocalId child, LinkList child_links) {
  const LinkStore::Lock lock(*links_, parent);
  const LinkList list = links_->At(parent, 0);
  uint32_t children = 0;
  Link link;
  for (uint32_t i = 0; list.Get(i, &link); ++i) {
    children += link.kind == LinkKind::kChild ? 1 : 0;
  }
  if (children >= options_.m) {
    return false;
  }
  // The child is not visible yet, so its list needs no lock; at most m of its 2m slots are taken.
  uint32_t slot = 0;
  while (child_links.Get(slot, &link) && link.id != parent) {
    ++slot;
  }
  child_links.Set(slot, {parent, LinkKind::kParent});
  AddLinkLocked(parent, 0, {child, LinkKind::kChild});
  return true;
}

// Among equally near children any will do: a fixed choice would make one long branch of the tree.
LocalId Hnsw::NearestChildOf(LocalId parent, LocalId id, LocalId salt) const {
  std::vector<LocalId> children;
  {
    const LinkStore::Lock lock(*links_, parent);
    const LinkList list = links_->At(parent, 0);
    Link link;
    for (uint32_t i = 0; list.Get(i, &link); ++i) {
      if (link.kind == LinkKind::kChild) {
        children.push_back(link.id);
      }
    }
  }
  std::vector<float> distances(children.size());
  QueryDistance(*rows_, id).ToIds(children.data(), children.size(), distances.data());
  const float nearest = *std::min_element(distances.begin(), distances.end());
  const auto ties = std::count(distances.begin(), distances.end(), nearest);
  auto skip = static_cast<std::ptrdiff_t>(salt) % ties;
  size_t i = 0;
  while (distances[i] != nearest || skip-- > 0) {
    ++i;
  }
  return children[i];
}

void Hnsw::AddLink(LocalId from, uint32_t level, Link link) {
  const LinkStore::Lock lock(*links_, from);
  AddLinkLocked(from, level, link);
}

// A full list is selected anew, the way a new row selects its neighbours.
void Hnsw::AddLinkLocked(LocalId from, uint32_t level, Link link) {
  LinkList list = links_->At(from, level);
  const uint32_t size = list.Size();
  if (size < list.capacity()) {
    list.Set(size, link);
    return;
  }
  std::vector<LocalId> ids(size + 1);
  std::vector<LinkCandidate> candidates(size + 1);
  for (uint32_t i = 0; i <= size; ++i) {
    Link old = link;
    if (i < size) {
      list.Get(i, &old);
    }
    ids[i] = old.id;
    candidates[i] = {.neighbor = {0, old.id}, .kind = old.kind, .slot = i};
  }
  std::vector<float> distances(size + 1);
  QueryDistance(*rows_, from).ToIds(ids.data(), ids.size(), distances.data());
  for (uint32_t i = 0; i <= size; ++i) {
    candidates[i].neighbor.distance = distances[i];
  }
  std::sort(candidates.begin(), candidates.end(),
            [](const LinkCandidate& a, const LinkCandidate& b) { return a.neighbor < b.neighbor; });
  std::vector<LinkCandidate> kept;
  SelectNeighbors(*rows_, candidates, list.capacity(), &kept);
  Rewrite(list, kept);
}

}  // namespace longbow::index
