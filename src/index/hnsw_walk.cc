// hot path: walks over the graph, for searches and for insertions. Budget: memory; of 384-d rows about 100 ns each, and
// a fifth of that for everything else.
#include <algorithm>
#include <functional>

#include "index/hnsw.h"
#include "index/nearest_heap.h"

namespace longbow::index {
namespace {

constexpr size_t kStepsBetweenChecks = 64;  // of cancellation; a step is a microsecond or two
constexpr size_t kBeamEfMax = 1024;         // beyond it insertion into a sorted array costs more than heaps do

// The walk knows distances as float32, which may not tell rows apart whose elements are of 64 bits.
void RankExactly(const QueryDistance& distance, std::vector<Neighbor>* nearest) {
  for (Neighbor& neighbor : *nearest) {
    neighbor.distance = distance.To(neighbor.id);
  }
  std::sort(nearest->begin(), nearest->end());
}

}  // namespace

// Greedy walk from the entry point down to `to_level`, the nearest row on each level being the start on the next.
Neighbor Hnsw::Descend(const QueryDistance& distance, Entry entry, uint32_t to_level, WalkScratch& scratch) const {
  Neighbor nearest{distance.To(entry.id), entry.id};
  for (uint32_t level = entry.level; level > to_level; --level) {
    for (bool moved = true; moved;) {
      moved = false;
      const LinkList list = links_->At(nearest.id, level);
      size_t n = 0;
      for (Link link; list.Get(static_cast<uint32_t>(n), &link); ++n) {
        scratch.ids[n] = link.id;
      }
      distance.ToIds(scratch.ids.data(), n, scratch.distances.data());
      for (size_t i = 0; i < n; ++i) {
        if (scratch.distances[i] < nearest.distance) {
          nearest = {scratch.distances[i], scratch.ids[i]};
          moved = true;
        }
      }
    }
  }
  return nearest;
}

// Marks the neighbours of a row and puts those seen for the first time into scratch.ids; returns how many.
size_t Hnsw::CollectUnvisited(LocalId id, uint32_t level, WalkScratch& scratch) const {
  const LinkList list = links_->At(id, level);
  size_t n = 0;
  Link link;
  for (uint32_t i = 0; list.Get(i, &link); ++i) {
    if (scratch.visited.Mark(link.id)) {
      scratch.ids[n++] = link.id;
    }
  }
  return n;
}

// Algorithm 2 of the paper. False if there are too many unwanted rows for a beam; the result is in scratch.beam.
template <typename Wanted>
Result<bool> Hnsw::WalkBeam(const QueryDistance& distance, uint32_t level, const Neighbor& start, size_t ef,
                            const Wanted& wanted, const Cancellation* cancellation, WalkScratch& scratch) const {
  Beam& beam = scratch.beam;
  beam.Reset(ef);
  scratch.visited.Mark(start.id);
  beam.Add(MakeCandidate(start.distance, start.id), wanted(start.id));
  LocalId id;
  for (size_t steps = 0; beam.TakeNext(&id); ++steps) {
    if (cancellation != nullptr && steps % kStepsBetweenChecks == 0) {
      LB_TRY(cancellation->Check());
    }
    const size_t n = CollectUnvisited(id, level, scratch);
    if (LocalId next; beam.PeekNext(&next)) {
      links_->At(next, level).Prefetch();
    }
    distance.ToIds(scratch.ids.data(), n, scratch.distances.data());
    for (size_t i = 0; i < n; ++i) {
      const Candidate candidate = MakeCandidate(scratch.distances[i], scratch.ids[i]);
      if (candidate < beam.bound() && !beam.Add(candidate, wanted(scratch.ids[i]))) {
        return false;
      }
    }
  }
  return true;
}

void Hnsw::WalkForInsert(const QueryDistance& distance, uint32_t level, const Neighbor& start,
                         WalkScratch& scratch) const {
  // Neither cancelled nor overfull: every row is wanted.
  (void)WalkBeam(
      distance, level, start, options_.ef_construction, [](LocalId) { return true; }, nullptr, scratch);
}

// Algorithm 2 with two heaps: for results of which few are wanted, or very many.
Result<std::vector<Neighbor>> Hnsw::WalkHeaps(const QueryDistance& distance, const Neighbor& start,
                                              const SearchOptions& options, WalkScratch& scratch) const {
  NearestHeap<Candidate> wanted(std::max(options.ef, options.k));
  SearchCounters counters;
  std::vector<Candidate>& frontier = scratch.frontier;  // nearest on top
  const auto consider = [&](float d, LocalId id) {
    const Candidate candidate = MakeCandidate(d, id);
    ++counters.visited;
    if (candidate < wanted.bound()) {
      frontier.push_back(candidate);
      std::push_heap(frontier.begin(), frontier.end(), std::greater<>());
      if (options.filter.Contains(id)) {
        wanted.Add(candidate);
      } else {
        ++counters.filtered;
      }
    }
  };
  frontier.clear();
  scratch.visited.Mark(start.id);
  consider(start.distance, start.id);
  for (size_t steps = 0; !frontier.empty() && frontier.front() <= wanted.bound(); ++steps) {
    if (options.cancellation != nullptr && steps % kStepsBetweenChecks == 0) {
      LB_TRY(options.cancellation->Check());
    }
    std::pop_heap(frontier.begin(), frontier.end(), std::greater<>());
    const LocalId id = IdOf(frontier.back());
    frontier.pop_back();
    const size_t n = CollectUnvisited(id, 0, scratch);
    distance.ToIds(scratch.ids.data(), n, scratch.distances.data());
    for (size_t i = 0; i < n; ++i) {
      consider(scratch.distances[i], scratch.ids[i]);
    }
  }
  if (options.counters != nullptr) {
    options.counters->visited += counters.visited;
    options.counters->filtered += counters.filtered;
  }
  return wanted.TakeNearest(options.k);
}

Result<std::vector<Neighbor>> Hnsw::Search(const TypedQuery& query, const SearchOptions& options) const {
  const auto entry = LoadEntry();
  if (!entry || options.k == 0 || options.filter.begin >= options.filter.end) {
    return std::vector<Neighbor>();
  }
  const WalkScratchPool::Lease lease = scratch_.Take();
  WalkScratch& scratch = *lease;
  const QueryDistance distance(*rows_, query);
  const Neighbor start = Descend(distance, *entry, 0, scratch);
  const size_t ef = std::max(options.ef, options.k);
  // A predicate may leave out any number of rows; deletes and rows newer than the reader are few.
  if (ef <= kBeamEfMax && options.filter.passing == nullptr) {
    SearchCounters counters;
    const auto wanted = [&filter = options.filter, &counters](LocalId id) {
      const bool contained = filter.Contains(id);
      counters.filtered += static_cast<uint64_t>(!contained);
      ++counters.visited;
      return contained;
    };
    LB_ASSIGN(const bool complete, WalkBeam(distance, 0, start, ef, wanted, options.cancellation, scratch));
    if (complete) {
      if (options.counters != nullptr) {
        options.counters->visited += counters.visited;
        options.counters->filtered += counters.filtered;
      }
      std::vector<Neighbor> nearest;
      scratch.beam.Nearest(options.k, &nearest);
      RankExactly(distance, &nearest);
      return nearest;
    }
    scratch.visited.Clear();
  }
  LB_ASSIGN(std::vector<Neighbor> nearest, WalkHeaps(distance, start, options, scratch));
  RankExactly(distance, &nearest);
  return nearest;
}

}  // namespace longbow::index
