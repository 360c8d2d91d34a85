// hot path: the walk over int8 codes that active and lean graphs share.
#pragma once

#include <algorithm>
#include <vector>

#include "base/status.h"
#include "index/entry_points.h"
#include "index/row_codes.h"
#include "index/search_pool.h"
#include "index/vector_index.h"
#include "index/visited_set.h"

namespace longbow::index {

// Memory of one walk. One thread; reusable.
struct CodeWalkScratch {
  VisitedSet visited{0};
  SearchPool pool;     // what the walk has found, nearest first
  SearchPool results;  // of it what the filter contains, if there is one: reset by the caller
  SearchCounters counters;
  std::vector<LocalId> ids;
  std::vector<int32_t> dots;
  std::vector<float> keys;
};

struct CodeWalkOptions {
  size_t ef = 0;
  size_t starts = 2;                  // entry points, the nearest
  const RowFilter* filter = nullptr;  // collect what it contains in the scratch's results; null: only walk
  const Cancellation* cancellation = nullptr;
};

// The options of a search, of which ef is raised to k.
inline CodeWalkOptions CodeWalkOptionsOf(const SearchOptions& options) {
  const size_t ef = std::max(options.ef, options.k);
  return {
      .ef = ef, .starts = std::max<size_t>(4, ef / 8), .filter = &options.filter, .cancellation = options.cancellation};
}

// Fills the pool with the nearest entry points.
void StartCodeWalk(const CodeArray& codes, const EntryPoints& entries, const KeyProbe& probe,
                   const CodeWalkOptions& options, CodeWalkScratch& scratch);
// Puts scratch.ids[0, n), seen for the first time, with their keys into the pool and, if they are wanted, into the
// results.
void OfferRows(const CodeArray& codes, const KeyProbe& probe, const CodeWalkOptions& options, size_t n,
               CodeWalkScratch& scratch);

// A beam search: the ef nearest rows found are in scratch.pool afterwards. Rows are marked when they are first seen, as
// their keys are exact. Errors: CANCELLED, DEADLINE_EXCEEDED.
//
// Graph: rows_end(); kNeighborsMax; Collect(id, scratch), which marks the neighbours of a row, writes those it saw for
// the first time to scratch.ids, asks for their codes and returns how many; Prefetch(id), what Collect will read.
template <typename Graph>
Status WalkCodes(const Graph& graph, const CodeArray& codes, const EntryPoints& entries, const KeyProbe& probe,
                 const CodeWalkOptions& options, CodeWalkScratch& scratch) {
  constexpr size_t kStepsBetweenChecks = 64;  // of cancellation; a step is a microsecond or two
  constexpr size_t kListsAhead = 3;           // prefetched
  scratch.visited.Reserve(graph.rows_end());
  scratch.pool.Reset(options.ef);
  scratch.ids.resize(std::max<size_t>(Graph::kNeighborsMax, EntryPoints::kCountMax));
  scratch.keys.resize(scratch.ids.size());
  scratch.dots.resize(scratch.ids.size());
  StartCodeWalk(codes, entries, probe, options, scratch);
  Status status;
  LocalId id;
  for (size_t steps = 0; scratch.pool.TakeNext(&id); ++steps) {
    if (options.cancellation != nullptr && steps % kStepsBetweenChecks == 0) {
      status = options.cancellation->Check();
      if (!status.ok()) {
        break;
      }
    }
    const size_t n = graph.Collect(id, scratch);
    scratch.pool.PrefetchNext(kListsAhead, [&graph](LocalId next) { graph.Prefetch(next); });
    OfferRows(codes, probe, options, n, scratch);
  }
  scratch.visited.Clear();
  return status;
}

}  // namespace longbow::index
