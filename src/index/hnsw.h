// The graph of the active segment: Hierarchical Navigable Small World (Malkov & Yashunin, arXiv 1603.09320) over
// VectorRows.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/status.h"
#include "index/link_store.h"
#include "index/query_distance.h"
#include "index/select_neighbors.h"
#include "index/vector_index.h"
#include "index/vector_rows.h"
#include "index/walk_scratch.h"

namespace longbow::index {

struct HnswOptions {
  uint32_t m = 16;                 // links per row on upper levels, twice as many on level 0; 2 to 128
  uint32_t ef_construction = 200;  // rows considered as neighbours of a new one; m to limits::kEfMax
  uint64_t seed = 1;               // of the levels
};

// Rows are inserted, never removed: deleted ones are walked through and left out of results (RowFilter). Any number of
// threads may insert and search at once; searches take no lock. Owned by its segment; shares the rows.
//
// Every inserted row can be reached from every other on level 0, also among thousands of identical rows: each is the
// child of one row that was there before, and links between parent and child, both ways, are never pruned.
class Hnsw final : public VectorIndex {
 public:
  // Room for every row of `rows`. INVALID_ARGUMENT for options out of range; RESOURCE_EXHAUSTED if the address space
  // cannot be reserved.
  static Result<std::unique_ptr<Hnsw>> Create(std::shared_ptr<const VectorRows> rows, const HnswOptions& options);

  // Links row `id`, which is finished and published to this thread. When it returns searches find the row. Rows may
  // come in any order, each once: another id or a second time stops the process.
  void Insert(LocalId id);

  // See VectorIndex. options.ef is raised to k. Rows that the filter leaves out cost as much as others on the way;
  // where it leaves out nearly all of them FlatSearch over the rest is cheaper.
  Result<std::vector<Neighbor>> Search(const TypedQuery& query, const SearchOptions& options) const override;

  const HnswOptions& options() const { return options_; }
  // Insertions that have returned.
  uint32_t inserted_rows() const { return inserted_rows_.load(std::memory_order_acquire); }
  // How many rows a walk over level 0 from the entry point reaches: all, while nobody inserts. For checks; takes as
  // long as reading all links.
  uint32_t CountReachableRows() const;

 private:
  // Where walks begin: the row of the highest level.
  struct Entry {
    LocalId id = 0;
    uint32_t level = 0;
  };
  // The neighbours found for a new row on one level, nearest first.
  using Neighbors = std::vector<Neighbor>;

  Hnsw(std::shared_ptr<const VectorRows> rows, const HnswOptions& options, std::unique_ptr<LinkStore> links)
      : rows_(std::move(rows)),
        options_(options),
        links_(std::move(links)),
        scratch_(rows_->capacity(), 2 * options.m) {}

  std::optional<Entry> LoadEntry() const;
  bool SetFirstEntry(LocalId id, uint32_t level);
  void RaiseEntry(LocalId id, uint32_t level);

  // hnsw_walk.cc
  Neighbor Descend(const QueryDistance& distance, Entry entry, uint32_t to_level, WalkScratch& scratch) const;
  size_t CollectUnvisited(LocalId id, uint32_t level, WalkScratch& scratch) const;
  template <typename Wanted>
  Result<bool> WalkBeam(const QueryDistance& distance, uint32_t level, const Neighbor& start, size_t ef,
                        const Wanted& wanted, const Cancellation* cancellation, WalkScratch& scratch) const;
  void WalkForInsert(const QueryDistance& distance, uint32_t level, const Neighbor& start, WalkScratch& scratch) const;
  Result<std::vector<Neighbor>> WalkHeaps(const QueryDistance& distance, const Neighbor& start,
                                          const SearchOptions& options, WalkScratch& scratch) const;

  // hnsw_insert.cc
  void Select(const Neighbors& near, std::vector<LinkCandidate>* selected) const;
  void Connect(LocalId id, uint32_t level, const Neighbors& near);
  LocalId JoinTree(LocalId id, const Neighbors& near, LinkList own);
  bool Adopt(LocalId parent, LocalId child, LinkList child_links);
  LocalId NearestChildOf(LocalId parent, LocalId id, LocalId salt) const;
  void AddLink(LocalId from, uint32_t level, Link link);
  void AddLinkLocked(LocalId from, uint32_t level, Link link);

  // Constant after construction; what they point to has rules of its own.
  const std::shared_ptr<const VectorRows> rows_;
  const HnswOptions options_;
  const std::unique_ptr<LinkStore> links_;

  mutable WalkScratchPool scratch_;
  std::atomic<uint64_t> entry_{0};  // [ level : 32 | id + 1 : 32 ]; 0: no row yet. The level only rises
  std::atomic<uint32_t> inserted_rows_{0};
};

}  // namespace longbow::index
