// The graph of a segment that still takes rows: one level, on int8 codes.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "index/code_walk.h"
#include "index/entry_points.h"
#include "index/prune.h"
#include "index/row_codes.h"
#include "index/scratch_pool.h"
#include "index/slack_links.h"
#include "index/vector_index.h"
#include "index/vector_rows.h"

namespace longbow::index {

struct ActiveGraphOptions {
  uint32_t degree = 32;            // links kept when a list is pruned; 4 to 32
  uint32_t ef_construction = 200;  // rows considered as neighbours of a new one; degree to limits::kEfMax
  ArrayPlace place = {};           // of codes and links
};

// What a look over all links found, and what was done about it.
struct RepairReport {
  uint32_t linked_rows = 0;
  uint32_t unreachable_rows = 0;  // from the entry points, before
  uint32_t links_added = 0;       // after which, if nobody inserted meanwhile, all are reachable
};

// A flat graph in the manner of Vamana (Subramanya et al., NeurIPS 2019) with the edge rule of NSG: rows are inserted
// by a beam search for their neighbours, lists have room for links from rows that come later, walks begin at the
// nearest of 128 entry points. Distances while walking are those of int8 codes; results are ranked by the exact rows.
//
// Any number of threads may insert, unlink and search at once; searches take no lock. Repair may run beside them.
class ActiveGraph final : public VectorIndex {
 public:
  // Room for every row of `rows`; rows [0, sample_rows), at least one, are published and tell how to code the rest.
  // INVALID_ARGUMENT for options out of range; RESOURCE_EXHAUSTED if the address space cannot be reserved.
  static Result<std::unique_ptr<ActiveGraph>> Create(std::shared_ptr<const VectorRows> rows, LocalId sample_rows,
                                                     const ActiveGraphOptions& options);
  ~ActiveGraph() override;

  // Links row `id`, which is finished and published to this thread. When it returns searches find the row. Rows may
  // come in any order, each once: another id or a second time stops the process. `living` (or null: all) says which
  // rows may become its neighbours.
  void Insert(LocalId id, const RowFilter* living = nullptr);

  // See VectorIndex. options.ef is raised to k.
  Result<std::vector<Neighbor>> Search(const TypedQuery& query, const SearchOptions& options) const override;

  // Takes dead rows out of the lists of rows [begin, end), whose neighbours become each other's (as FreshDiskANN does,
  // Singh et al., 2021), dead: bitmap over the capacity. Once it has run over all rows, FreeRows may drop the lists of
  // the dead themselves. Returns how many lists changed.
  uint32_t Unlink(const uint64_t* dead, LocalId begin, LocalId end);
  void FreeRows(const uint64_t* dead, LocalId begin, LocalId end);
  // Finds linked rows that no walk from the entry points can reach and links them from their nearest reachable ones.
  // Takes as long as reading all links. One caller at a time. Ends early, and says what it did until then, when
  // cancelled.
  RepairReport Repair(const Cancellation* cancellation = nullptr);

  const ActiveGraphOptions& options() const { return options_; }
  const VectorRows& rows() const { return *rows_; }
  const std::shared_ptr<const VectorRows>& shared_rows() const { return rows_; }
  const RowCodes& codes() const { return *codes_; }
  const SlackLinks& links() const { return *links_; }
  const EntryPoints& entries() const { return *entries_.load(std::memory_order_acquire); }
  // Insertions that have returned.
  uint32_t inserted_rows() const { return inserted_rows_.load(std::memory_order_acquire); }
  // Rows below may be linked; none from here on is.
  LocalId rows_end() const { return rows_end_.load(std::memory_order_acquire); }
  // Of which Repair would find none. For checks.
  uint32_t CountUnreachableRows() const;
  // Drops every link to `id`. For tests of Repair.
  void DropLinksTo(LocalId id);

 private:
  struct Scratch : CodeWalkScratch {
    CodedQuery query;
    RowProbe probe;
    Pruner pruner;
    std::vector<float> values;
    std::vector<Edge> edges;
  };

  ActiveGraph(std::shared_ptr<const VectorRows> rows, const ActiveGraphOptions& options,
              std::unique_ptr<RowCodes> codes, std::unique_ptr<SlackLinks> links);

  // active_search.cc
  Status Walk(const KeyProbe& probe, const CodeWalkOptions& options, Scratch& scratch) const;

  // active_insert.cc
  bool InsertFirst(LocalId id);
  void AddLink(LocalId from, Edge edge, Pruner& pruner);
  void RefreshEntries(uint32_t inserted);
  void SetEntries(std::vector<LocalId> candidates);

  // active_repair.cc
  class Reachable;
  uint32_t UnlinkRow(const uint64_t* dead, LocalId id, Scratch& scratch);
  bool LinkIsland(LocalId id, const Reachable& reachable, Scratch& scratch);
  bool LinkFromOneOf(const std::vector<Edge>& near, LocalId id, const Reachable& reachable);
  std::vector<Edge> NeighborsOf(const std::vector<Edge>& rows, LocalId id, Scratch& scratch) const;

  // Constant after construction; what they point to has rules of its own.
  const std::shared_ptr<const VectorRows> rows_;
  const ActiveGraphOptions options_;
  const std::unique_ptr<RowCodes> codes_;
  const std::unique_ptr<SlackLinks> links_;

  mutable ScratchPool<Scratch> scratch_;
  std::atomic<uint32_t> inserted_rows_{0};
  std::atomic<LocalId> rows_end_{0};
  std::atomic<const EntryPoints*> entries_{nullptr};
  std::mutex entries_mu_;
  std::vector<std::unique_ptr<const EntryPoints>> all_entries_;  // guarded by entries_mu_; readers may use any of them
};

}  // namespace longbow::index
