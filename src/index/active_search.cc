// hot path: walks over the active graph, for searches and for insertions; code_walk.cc has the steps they share with
// those over lean graphs.
#include "index/active_graph.h"
#include "index/code_walk.h"
#include "index/prefetch.h"
#include "index/rank.h"

namespace longbow::index {
namespace {

struct ActiveLists {
  static constexpr size_t kNeighborsMax = SlackLinks::kSlots;

  LocalId rows_end() const { return capacity; }
  size_t Collect(LocalId id, CodeWalkScratch& scratch) const {
    const uint32_t degree = links.Degree(id);
    size_t n = 0;
    for (uint32_t slot = 0; slot < degree; ++slot) {
      const LocalId neighbor = links.At(id, slot);
      if (scratch.visited.Mark(neighbor)) {
        PrefetchLines(codes.row(neighbor), codes.stride);
        scratch.ids[n++] = neighbor;
      }
    }
    return n;
  }
  void Prefetch(LocalId id) const { links.Prefetch(id); }

  const SlackLinks& links;
  CodeArray codes;
  LocalId capacity;
};

}  // namespace

Status ActiveGraph::Walk(const KeyProbe& probe, const CodeWalkOptions& options, Scratch& scratch) const {
  const CodeArray codes = codes_->array();
  return WalkCodes(ActiveLists{*links_, codes, rows_->capacity()}, codes, entries(), probe, options, scratch);
}

Result<std::vector<Neighbor>> ActiveGraph::Search(const TypedQuery& query, const SearchOptions& options) const {
  if (entries_.load(std::memory_order_acquire) == nullptr || options.k == 0 ||
      options.filter.begin >= options.filter.end) {
    return std::vector<Neighbor>();
  }
  const auto lease = scratch_.Take();
  Scratch& scratch = *lease;
  scratch.query.Prepare(codes_->space(), *rows_, query);
  scratch.results.Reset(RankedRowsFor(options.k, codes_->space()));
  scratch.counters = {};
  LB_TRY(Walk(ProbeOf(codes_->space(), scratch.query), CodeWalkOptionsOf(options), scratch));
  scratch.counters.refined += scratch.results.size();
  if (options.counters != nullptr) {
    options.counters->Add(scratch.counters);
  }
  return RankExactly(*rows_, query, scratch.results.keys(), options.k);
}

}  // namespace longbow::index
