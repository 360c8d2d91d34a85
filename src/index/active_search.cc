// hot path: walks over the active graph, for searches and for insertions. Budget: memory; a row of 384 dimensions is
// 392 bytes of code, of which a walk at ef = 100 reads some two thousand.
#include <algorithm>
#include <array>

#include "index/active_graph.h"
#include "index/prefetch.h"
#include "index/rank.h"

namespace longbow::index {
namespace {

constexpr size_t kStepsBetweenChecks = 64;  // of cancellation; a step is a microsecond or two
constexpr size_t kListsAhead = 3;           // link lists prefetched

}  // namespace

// Fills the pool with the nearest entry points.
void ActiveGraph::Start(const KeyProbe& probe, const WalkOptions& options, Scratch& scratch) const {
  const EntryPoints& entries = this->entries();
  const size_t count = entries.ids.size();
  std::array<int32_t, EntryPoints::kCountMax> dots;
  std::array<PoolKey, EntryPoints::kCountMax> nearest;
  codes_->space().kernels().dot_rows(entries.codes.data(), codes_->stride(), probe.row, codes_->dimension(), count,
                                     dots.data());
  for (size_t i = 0; i < count; ++i) {
    float scale_and_norm[2];
    std::memcpy(scale_and_norm, &entries.codes[i * codes_->stride() + codes_->dimension()], sizeof(scale_and_norm));
    const float term = probe.term_is_norm ? scale_and_norm[1] : 0.0f;
    const auto dot = static_cast<float>(dots[i] - probe.offset_sum);
    nearest[i] = MakeKey(probe.constant + term + probe.factor * scale_and_norm[0] * dot, static_cast<LocalId>(i));
  }
  const size_t starts = std::min({count, options.starts, options.ef});
  std::partial_sort(nearest.begin(), nearest.begin() + starts, nearest.begin() + count);
  for (size_t i = 0; i < starts; ++i) {
    const LocalId id = entries.ids[IdOfKey(nearest[i])];
    scratch.visited.Mark(id);
    scratch.ids[i] = id;
    scratch.keys[i] = FloatOfKey(nearest[i]);
  }
  Offer(options, starts, scratch);
}

// Marks the neighbours of a row and puts those seen for the first time into scratch.ids; returns how many.
size_t ActiveGraph::CollectUnvisited(LocalId id, Scratch& scratch) const {
  const uint32_t degree = links_->Degree(id);
  size_t n = 0;
  for (uint32_t slot = 0; slot < degree; ++slot) {
    const LocalId neighbor = links_->At(id, slot);
    if (scratch.visited.Mark(neighbor)) {
      PrefetchLines(codes_->row(neighbor), codes_->stride());
      scratch.ids[n++] = neighbor;
    }
  }
  return n;
}

// Puts scratch.ids[0, n) with their keys into the pool and, if they are wanted, into the results.
void ActiveGraph::Offer(const WalkOptions& options, size_t n, Scratch& scratch) const {
  const kernels::GraphKernels& kernels = codes_->space().kernels();
  std::array<PoolKey, SearchPool::kFreshMax> steering;
  std::array<PoolKey, SearchPool::kFreshMax> wanted;
  for (size_t begin = 0; begin < n; begin += SearchPool::kFreshMax) {
    const size_t end = std::min(n, begin + SearchPool::kFreshMax);
    const float threshold = scratch.pool.threshold();
    const float wanted_threshold = options.filter != nullptr ? scratch.results.threshold() : 0;
    size_t steering_count = 0;
    size_t wanted_count = 0;
    for (size_t i = begin; i < end; ++i) {
      const float key = scratch.keys[i];
      if (key < threshold) {
        steering[steering_count++] = MakeKey(key, scratch.ids[i]);
      }
      if (options.filter != nullptr && key < wanted_threshold) {
        if (options.filter->Contains(scratch.ids[i])) {
          wanted[wanted_count++] = MakeKey(key, scratch.ids[i]);
        } else {
          ++scratch.counters.filtered;
        }
      }
    }
    scratch.pool.Insert(kernels, steering.data(), steering_count);
    if (wanted_count > 0) {
      scratch.results.Insert(kernels, wanted.data(), wanted_count);
    }
  }
}

Status ActiveGraph::Walk(const KeyProbe& probe, const WalkOptions& options, Scratch& scratch) const {
  scratch.visited.Reserve(rows_->capacity());
  scratch.pool.Reset(options.ef);
  scratch.ids.resize(std::max<size_t>(SlackLinks::kSlots, EntryPoints::kCountMax));
  scratch.keys.resize(scratch.ids.size());
  scratch.dots.resize(scratch.ids.size());
  Start(probe, options, scratch);
  Status status;
  LocalId id;
  for (size_t steps = 0; scratch.pool.TakeNext(&id); ++steps) {
    if (options.cancellation != nullptr && steps % kStepsBetweenChecks == 0) {
      status = options.cancellation->Check();
      if (!status.ok()) {
        break;
      }
    }
    const size_t n = CollectUnvisited(id, scratch);
    scratch.pool.PrefetchNext(kListsAhead, [this](LocalId next) { links_->Prefetch(next); });
    KeysOf(*codes_, probe, scratch.ids.data(), n, scratch.dots.data(), scratch.keys.data());
    scratch.counters.visited += n;
    Offer(options, n, scratch);
  }
  scratch.visited.Clear();
  return status;
}

Result<std::vector<Neighbor>> ActiveGraph::Search(const TypedQuery& query, const SearchOptions& options) const {
  if (entries_.load(std::memory_order_acquire) == nullptr || options.k == 0 ||
      options.filter.begin >= options.filter.end) {
    return std::vector<Neighbor>();
  }
  const auto lease = scratch_.Take();
  Scratch& scratch = *lease;
  scratch.query.Prepare(codes_->space(), *rows_, query);
  const size_t ef = std::max(options.ef, options.k);
  scratch.results.Reset(RankedRowsFor(options.k, codes_->space()));
  scratch.counters = {};
  LB_TRY(Walk(ProbeOf(codes_->space(), scratch.query),
              {.ef = ef,
               .starts = std::max<size_t>(4, ef / 8),
               .filter = &options.filter,
               .cancellation = options.cancellation},
              scratch));
  scratch.counters.refined += scratch.results.size();
  if (options.counters != nullptr) {
    options.counters->Add(scratch.counters);
  }
  return RankExactly(*rows_, query, scratch.results.keys(), options.k);
}

}  // namespace longbow::index
