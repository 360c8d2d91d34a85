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
  WalkStages stages;
  float middle = 0;  // mean key of the entry points
  SearchCounters counters;
  std::vector<LocalId> ids;
  std::vector<int32_t> dots;
  std::vector<float> keys;
};

struct CodeWalkOptions {
  size_t ef = 0;
  const StopRule* stop = nullptr;     // in the place of ef
  LocalId left_out = kNoRow;          // neither found nor walked through
  size_t starts = 2;                  // entry points, the nearest
  const RowFilter* filter = nullptr;  // collect what it contains in the scratch's results; null: only walk
  const Cancellation* cancellation = nullptr;
};

// The options of a search, of which ef is raised to k.
inline CodeWalkOptions CodeWalkOptionsOf(const SearchOptions& options) {
  const size_t ef = std::max(options.stop != nullptr ? options.stop->ef_first : options.ef, options.k);
  return {.ef = ef,
          .stop = options.stop,
          .left_out = options.left_out,
          .starts = std::max<size_t>(4, ef / 8),
          .filter = &options.filter,
          .cancellation = options.cancellation};
}

// Fills the pool with the nearest entry points.
void StartCodeWalk(const CodeArray& codes, const EntryPoints& entries, const KeyProbe& probe,
                   const CodeWalkOptions& options, CodeWalkScratch& scratch);
// Puts scratch.ids[0, n), seen for the first time, with their keys into the pool and, if they are wanted, into the
// results.
void OfferRows(const CodeArray& codes, const KeyProbe& probe, const CodeWalkOptions& options, size_t n,
               CodeWalkScratch& scratch);

// How hard the query is, by what the first stage found.
inline float SpreadOf(const CodeWalkScratch& scratch) {
  const SearchPool& results = scratch.results;
  return results.size() == 0 ? 0
                             : WalkStages::Spread(FloatOfKey(results[results.size() / 4]),
                                                  FloatOfKey(results[results.size() - 1]), scratch.middle);
}

// One stage of it: all of the ef nearest rows are expanded.
template <typename Graph>
Status WalkCodesStage(const Graph& graph, const CodeArray& codes, const KeyProbe& probe, const CodeWalkOptions& options,
                      CodeWalkScratch& scratch) {
  constexpr size_t kStepsBetweenChecks = 64;  // of cancellation; a step is a microsecond or two
  constexpr size_t kListsAhead = 3;           // prefetched
  const size_t ef = scratch.stages.ef();
  LocalId id;
  while (scratch.pool.TakeNext(&id, ef)) {
    if (options.cancellation != nullptr && scratch.stages.steps() % kStepsBetweenChecks == 0) {
      LB_TRY(options.cancellation->Check());
    }
    scratch.stages.CountStep();
    const size_t n = graph.Collect(id, scratch);
    scratch.pool.PrefetchNext(kListsAhead, [&graph](LocalId next) { graph.Prefetch(next); });
    OfferRows(codes, probe, options, n, scratch);
  }
  return {};
}

// A beam search: the ef nearest rows found are in scratch.pool afterwards. Rows are marked when they are first seen, as
// their keys are exact. Errors: CANCELLED, DEADLINE_EXCEEDED.
//
// Graph: rows_end(); kNeighborsMax; Collect(id, scratch), which marks the neighbours of a row, writes those it saw for
// the first time to scratch.ids, asks for their codes and returns how many; Prefetch(id), what Collect will read.
template <typename Graph>
Status WalkCodes(const Graph& graph, const CodeArray& codes, const EntryPoints& entries, const KeyProbe& probe,
                 const CodeWalkOptions& options, CodeWalkScratch& scratch) {
  scratch.visited.Reserve(graph.rows_end());
  if (options.left_out < graph.rows_end()) {
    scratch.visited.Mark(options.left_out);
  }
  scratch.stages.Start(options.stop, options.ef);
  scratch.pool.Reset(scratch.stages.capacity());
  scratch.ids.resize(std::max<size_t>(Graph::kNeighborsMax, EntryPoints::kCountMax));
  scratch.keys.resize(scratch.ids.size());
  scratch.dots.resize(scratch.ids.size());
  StartCodeWalk(codes, entries, probe, options, scratch);
  Status status = WalkCodesStage(graph, codes, probe, options, scratch);
  if (status.ok() && scratch.stages.GoOn(SpreadOf(scratch))) {
    scratch.pool.Widen(scratch.stages.capacity());
    status = WalkCodesStage(graph, codes, probe, options, scratch);
  }
  scratch.counters.ef = std::max<uint64_t>(scratch.counters.ef, scratch.stages.ef());
  scratch.counters.spread = scratch.stages.spread();
  scratch.visited.Clear();
  return status;
}

}  // namespace longbow::index
