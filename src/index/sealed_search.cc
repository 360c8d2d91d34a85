// hot path: walks over a sealed graph. Budget at 384 dimensions: 2 us to prepare a query, 0.4 us a step, half of it
// waiting for memory.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

#include "index/node_lists.h"
#include "index/prefetch.h"
#include "index/rank.h"
#include "index/sealed_graph.h"

namespace longbow::index {
namespace {

constexpr size_t kStepsBetweenChecks = 64;  // of cancellation
constexpr size_t kBlocksAhead = 4;          // prefetched: fewer stall, more gain nothing
constexpr size_t kRowsAhead = 8;
constexpr size_t kResultsAtOnce = 16;   // offered to the results together
constexpr int kRoundsMax = 3;           // of widening walks that found too little
constexpr size_t kWantedPerResult = 8;  // rows that pass a predicate are kept by estimate, so many for each result
constexpr size_t kWantedMin = 100;

// Rows near a query that is like the rows are near each other: the pool gets them again and again, from one and from
// the other. Where hardly any comes back, a walk is lost among rows that are all about as far; of queries unlike the
// rows (foreign200) 92 in 100 are found out so, of text embeddings of questions among those of packages 9.
bool IsScattered(size_t taken, size_t known) { return (taken == 32 && known == 0) || (taken == 64 && known < 4); }

}  // namespace

void SealedGraph::Prepare(const TypedQuery& query, Scratch& scratch) const {
  const kernels::GraphKernels& kernels = space_->kernels();
  scratch.query.Prepare(*space_, *rows_, query);
  const CodedQuery& coded = scratch.query;
  const float* values = coded.values().data();
  const size_t code_dimension = projection_.dimension();
  if (!projection_.is_identity()) {
    scratch.code_values.resize(code_dimension);
    projection_.Project(kernels, coded.row(), coded.row_offset_sum(), -0.5f * coded.row_factor(), &scratch.dots,
                        scratch.code_values.data());
    values = scratch.code_values.data();
  }
  scratch.tables.resize(code_dimension * 4);
  const float step = kernels.make_tables(values, code_dimension, scratch.tables.data());
  scratch.block_query = {.row = coded.row(),
                         .row_offset_sum = coded.row_offset_sum(),
                         .row_factor = coded.row_factor(),
                         .constant = coded.constant(),
                         .tables = scratch.tables.data(),
                         .table_step = step,
                         .table_base = -127.5f * step * static_cast<float>(code_dimension / 4)};
}

// Estimates of a block's neighbours: those not yet visited steer the walk; those that pass a predicate, seen or not,
// are candidates for the result.
void SealedGraph::OfferNeighbors(const uint8_t* block, float node_key, const SearchOptions& options,
                                 Scratch& scratch) const {
  scratch.counters.visited += FinalLinks::kDegree;
  const kernels::GraphKernels& kernels = space_->kernels();
  const bool collect = CollectsWanted(options);
  const float threshold = scratch.pool.threshold();
  const float wanted_threshold = collect ? scratch.wanted.threshold() : threshold;
  std::array<PoolKey, SearchPool::kFreshMax> keys;
  const size_t n = kernels.neighbor_keys(&layout_.shape, &scratch.block_query, block, node_key,
                                         std::max(threshold, wanted_threshold), keys.data());
  if (collect) {
    std::array<PoolKey, SearchPool::kFreshMax> passing;
    size_t count = 0;
    for (size_t i = 0; i < n; ++i) {
      const LocalId id = IdOfKey(keys[i]);
      if (FloatOfKey(keys[i]) < wanted_threshold && !scratch.visited.Contains(id) && options.filter.Contains(id)) {
        passing[count++] = keys[i];
      }
    }
    scratch.wanted.Insert(kernels, passing.data(), count);
  }
  size_t fresh = 0;
  for (size_t i = 0; i < n; ++i) {
    const bool nearer = !collect || FloatOfKey(keys[i]) < threshold;
    if (nearer && !scratch.visited.Contains(IdOfKey(keys[i]))) {
      keys[fresh++] = keys[i];
    }
  }
  scratch.pool.Insert(kernels, keys.data(), fresh);
}

// What was expanded is looked at for the result afterwards: within the walk that would be a branch that nobody can
// predict, and a look at memory that nobody asked for in time.
void SealedGraph::CollectResults(const SearchOptions& options, Scratch& scratch) const {
  std::array<PoolKey, kResultsAtOnce> fresh;
  size_t count = 0;
  for (size_t i = 0; i < scratch.expanded.size(); ++i) {
    const PoolKey key = scratch.expanded[i];
    if (FloatOfKey(key) < scratch.results.threshold()) {
      if (options.filter.Contains(IdOfKey(key))) {
        fresh[count++] = key;
      } else {
        ++scratch.counters.filtered;
      }
    }
    if (count == fresh.size() || i + 1 == scratch.expanded.size()) {
      scratch.results.Insert(space_->kernels(), fresh.data(), count);
      count = 0;
    }
  }
  scratch.counters.refined += scratch.expanded.size();
  scratch.expanded.clear();
}

void SealedGraph::Start(const SearchOptions& options, size_t ef, Scratch& scratch) const {
  for (size_t i = 0; i < layout_.entry_block_count; ++i) {
    OfferNeighbors(EntryBlock(i), scratch.block_query.constant, options, scratch);
  }
  scratch.pool.Truncate(std::max<size_t>(4, ef / 8));
}

double SealedGraph::PassingShare(const SearchOptions& options, const Scratch& scratch) {
  const size_t size = std::min(scratch.pool.size(), scratch.stages.ef());
  size_t passing = 0;
  for (size_t i = 0; i < size; ++i) {
    const LocalId id = IdOfKey(scratch.pool[i]);
    passing += id < options.filter.end ? (options.filter.passing[id >> 6] >> (id & 63)) & 1 : 0;
  }
  return static_cast<double>(passing) / static_cast<double>(std::max<size_t>(size, 1));
}

float SealedGraph::SpreadOf(const Scratch& scratch) {
  const SearchPool& results = scratch.results;
  return results.size() == 0
             ? 0
             : WalkStages::Spread(FloatOfKey(results[results.size() / 4]), FloatOfKey(results[results.size() - 1]),
                                  scratch.block_query.constant);
}

Status SealedGraph::Walk(const SearchOptions& options, const StopRule* stop, size_t ef, Scratch& scratch) const {
  scratch.visited.Reserve(layout_.rows);
  if (options.left_out < layout_.rows) {
    scratch.visited.Mark(options.left_out);
  }
  scratch.scattered = false;
  scratch.stages.Start(stop, ef);
  const bool is_post_checked = options.filter.passing != nullptr && stop == nullptr && !CollectsWanted(options);
  scratch.pool.Reset(is_post_checked ? scratch.stages.CapacityForPassing(options.passing_share)
                                     : scratch.stages.capacity());
  Start(options, scratch.stages.ef(), scratch);
  LB_TRY(WalkStage(options, scratch));
  const bool goes_on = is_post_checked ? scratch.stages.GoOnForPassing(PassingShare(options, scratch))
                                       : scratch.stages.GoOn(SpreadOf(scratch));
  if (goes_on) {
    scratch.pool.Widen(std::max(scratch.pool.capacity(), scratch.stages.capacity()));
    LB_TRY(WalkStage(options, scratch));
  }
  scratch.counters.ef = std::max<uint64_t>(scratch.counters.ef, scratch.stages.ef());
  scratch.counters.spread = scratch.stages.spread();
  return {};
}

// All of the ef nearest rows are expanded.
Status SealedGraph::WalkStage(const SearchOptions& options, Scratch& scratch) const {
  if (!scratch.scattered) {
    LB_TRY(WalkEstimates(options, scratch));
    CollectResults(options, scratch);
  }
  return scratch.scattered ? WalkRows(options, scratch) : Status();
}

// Rows are marked when they are expanded, not when they are first seen: until then a row keeps the best of several
// independent estimates. Ends early when scratch.scattered turns out to be so: the pool then holds the int8 keys of
// what was expanded.
Status SealedGraph::WalkEstimates(const SearchOptions& options, Scratch& scratch) const {
  const kernels::GraphKernels& kernels = space_->kernels();
  const auto prefetch = [this](LocalId id) { PrefetchLines(Block(id), layout_.block_stride); };
  const size_t ef = scratch.stages.ef();
  scratch.pool.PrefetchNext(kBlocksAhead + 1, prefetch);
  size_t taken = 0;
  size_t known = 0;
  LocalId id;
  while (scratch.pool.TakeNext(&id, ef)) {
    ++taken;
    if (!scratch.visited.Mark(id)) {
      ++known;
      continue;
    }
    if (options.cancellation != nullptr && scratch.stages.steps() % kStepsBetweenChecks == 0) {
      LB_TRY(options.cancellation->Check());
    }
    scratch.stages.CountStep();
    scratch.pool.PrefetchNext(kBlocksAhead, prefetch);
    const uint8_t* const block = Block(id);
    const float key = kernels.node_key(&layout_.shape, &scratch.block_query, block);
    scratch.expanded.push_back(MakeKey(key, id));
    OfferNeighbors(block, key, options, scratch);
    scratch.pool.PrefetchNext(1, prefetch);
    if (IsScattered(taken, known)) {
      scratch.scattered = true;
      scratch.pool.Reset(scratch.pool.capacity());
      std::vector<PoolKey>& expanded = scratch.expanded;
      scratch.pool.Insert(kernels, expanded.data(), expanded.size());
      return {};
    }
  }
  return {};
}

// Where estimates do not tell near from far, the int8 keys of all neighbours do.
Status SealedGraph::WalkRows(const SearchOptions& options, Scratch& scratch) const {
  const kernels::BlockShape& shape = layout_.shape;
  // A block's header begins with what stands behind a row of such an array: its scale, and its norm where that counts.
  static_assert(offsetof(kernels::BlockHeader, scale) == 0 && offsetof(kernels::BlockHeader, term) == sizeof(float));
  const CodeArray codes{&space_->kernels(), blocks_.data() + shape.row_offset, layout_.block_stride, shape.dimension};
  scratch.ids.resize(NodeLists::kNeighborsMax);
  scratch.keys.resize(NodeLists::kNeighborsMax);
  scratch.dots.resize(NodeLists::kNeighborsMax);
  const NodeLists lists(codes, shape.ids_offset - shape.row_offset, layout_.rows);
  return WalkCodesStage(lists, codes, ProbeOf(*space_, scratch.query), CodeWalkOptionsOf(options), scratch);
}

// The int8 keys of rows that pass and were estimated near, but never expanded.
void SealedGraph::RefineWanted(const SearchOptions& options, Scratch& scratch) const {
  const kernels::GraphKernels& kernels = space_->kernels();
  const SearchPool& wanted = scratch.wanted;
  const size_t row_offset = layout_.shape.row_offset;
  const size_t row_bytes = layout_.shape.dimension + sizeof(kernels::BlockHeader);
  for (size_t i = 0; i < wanted.size() + kRowsAhead; ++i) {
    if (i < wanted.size()) {
      PrefetchLines(Block(IdOfKey(wanted[i])) + row_offset, row_bytes);
    }
    if (i < kRowsAhead) {
      continue;
    }
    const LocalId id = IdOfKey(wanted[i - kRowsAhead]);
    if (!scratch.visited.Mark(id)) {
      continue;
    }
    scratch.expanded.push_back(MakeKey(kernels.node_key(&layout_.shape, &scratch.block_query, Block(id)), id));
  }
  CollectResults(options, scratch);
}

// A pool may hold a row several times, as estimated from several neighbours: for a large k it has to be wider.
Status SealedGraph::WalkUntilEnough(const SearchOptions& options, Scratch& scratch) const {
  const bool collects = CollectsWanted(options);
  size_t ef = std::max<size_t>(options.ef, 2 * static_cast<size_t>(options.k));
  for (int round = 1;; ++round, ef *= 4) {
    scratch.results.Reset(RankedRowsFor(options.k, *space_));
    scratch.wanted.Reset(collects ? std::max<size_t>(kWantedMin, kWantedPerResult * options.k) : 1);
    const Status status = Walk(options, round == 1 ? options.stop : nullptr, ef, scratch);
    ef = std::max(ef, scratch.stages.ef());
    if (status.ok() && collects) {
      RefineWanted(options, scratch);
    }
    scratch.visited.Clear();
    LB_TRY(status);
    if (scratch.results.size() >= options.k || round == kRoundsMax || ef / FinalLinks::kDegree > layout_.rows) {
      return {};
    }
  }
}

// By both levels of the codes, then, if distances are to be exact, by the rows.
std::vector<Neighbor> SealedGraph::Rank(const TypedQuery& query, const SearchOptions& options, Scratch& scratch) const {
  SearchPool& results = scratch.results;
  const kernels::GraphKernels& kernels = space_->kernels();
  const kernels::BlockShape& shape = layout_.shape;
  for (size_t i = 0; i < results.size(); ++i) {
    PrefetchLines(Residual(IdOfKey(results[i])), shape.dimension);
  }
  std::vector<PoolKey> keys(results.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    const LocalId id = IdOfKey(results[i]);
    const uint8_t* const block = Block(id);
    kernels::BlockHeader header;
    std::memcpy(&header, block + shape.header_offset, sizeof(header));
    const float dot = header.scale * kernels.fine_dot(block + shape.row_offset, Residual(id),
                                                      scratch.query.values().data(), shape.dimension);
    keys[i] = MakeKey(scratch.query.constant() + header.term - 2 * dot, id);
  }
  std::sort(keys.begin(), keys.end());
  if (space_->metric() != Metric::kJaccard) {
    keys.resize(std::min<size_t>(keys.size(), options.k));
  }
  if (options.exact_distances || space_->metric() == Metric::kJaccard) {
    return RankExactly(*rows_, query, keys, options.k);
  }
  std::vector<Neighbor> neighbors;
  neighbors.reserve(keys.size());
  for (const PoolKey key : keys) {
    neighbors.push_back({scratch.query.DistanceOf(FloatOfKey(key)), IdOfKey(key)});
  }
  return neighbors;
}

Result<std::vector<Neighbor>> SealedGraph::Search(const TypedQuery& query, const SearchOptions& options) const {
  if (layout_.entry_block_count == 0 || options.k == 0 || options.filter.begin >= options.filter.end) {
    return std::vector<Neighbor>();
  }
  const auto lease = scratch_.Take();
  Scratch& scratch = *lease;
  Prepare(query, scratch);
  scratch.counters = {};
  scratch.expanded.clear();
  LB_TRY(WalkUntilEnough(options, scratch));
  if (options.counters != nullptr) {
    options.counters->Add(scratch.counters);
  }
  return Rank(query, options, scratch);
}

}  // namespace longbow::index
