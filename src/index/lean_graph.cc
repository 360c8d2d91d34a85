// hot path: walks over a lean graph. Budget: memory; 392 bytes for each row seen at 384 dimensions.
#include "index/lean_graph.h"

#include <algorithm>
#include <cstring>

#include "index/parallel.h"
#include "index/prefetch.h"
#include "index/rank.h"

namespace longbow::index {
namespace {

constexpr size_t kPieceRows = 1024;
constexpr size_t kIdsBytes = FinalLinks::kDegree * sizeof(LocalId);

size_t IdsOffset(const CodeSpace& space) { return CodeArray::RowBytes(space.dimension()); }

}  // namespace

LeanGraph::LeanGraph(const ActiveGraph& graph, const FinalLinks& links)
    : rows_(graph.shared_rows()),
      space_(graph.codes().shared_space()),
      rows_end_(links.rows),
      node_bytes_(IdsOffset(*space_) + kIdsBytes),
      entries_(links.entries == nullptr ? EntryPoints() : *links.entries),
      links_moved_(links.links_moved) {}

Result<std::unique_ptr<LeanGraph>> LeanGraph::Build(const ActiveGraph& graph, const SealOptions& options) {
  const FinalLinks links = FinishLinks(graph, options.living, options.threads);
  std::unique_ptr<LeanGraph> lean(new LeanGraph(graph, links));
  LB_ASSIGN(lean->nodes_, ReservedMemory::Create(lean->node_bytes_ * std::max<size_t>(1, links.rows), "graph"));
  uint8_t* const nodes = lean->nodes_.As<uint8_t>();
  const size_t ids_offset = IdsOffset(*lean->space_);
  ParallelFor(options.threads, links.rows, kPieceRows, [&, stride = lean->node_bytes_](size_t begin, size_t end) {
    for (size_t i = begin; i < end; ++i) {
      const auto id = static_cast<LocalId>(i);
      if (graph.links().IsLinked(id)) {
        std::memcpy(nodes + i * stride, graph.codes().row(id), ids_offset);
        std::memcpy(nodes + i * stride + ids_offset, links.at(id), kIdsBytes);
      }
    }
  });
  return lean;
}

class LeanGraph::Lists {
 public:
  static constexpr size_t kNeighborsMax = FinalLinks::kDegree;

  explicit Lists(const LeanGraph& graph)
      : codes_(graph.Codes()), ids_offset_(IdsOffset(*graph.space_)), rows_end_(graph.rows_end_) {}

  LocalId rows_end() const { return rows_end_; }
  size_t Collect(LocalId id, CodeWalkScratch& scratch) const {
    LocalId neighbors[FinalLinks::kDegree];
    std::memcpy(neighbors, codes_.row(id) + ids_offset_, sizeof(neighbors));
    size_t n = 0;
    for (const LocalId neighbor : neighbors) {
      if (scratch.visited.Mark(neighbor)) {
        PrefetchLines(codes_.row(neighbor), ids_offset_);
        scratch.ids[n++] = neighbor;
      }
    }
    return n;
  }
  // The node's row was read when it was seen.
  void Prefetch(LocalId id) const { PrefetchLines(codes_.row(id) + ids_offset_, kIdsBytes); }

 private:
  const CodeArray codes_;
  const size_t ids_offset_;
  const LocalId rows_end_;
};

Result<std::vector<Neighbor>> LeanGraph::Search(const TypedQuery& query, const SearchOptions& options) const {
  if (entries_.ids.empty() || options.k == 0 || options.filter.begin >= options.filter.end) {
    return std::vector<Neighbor>();
  }
  const auto lease = scratch_.Take();
  Scratch& scratch = *lease;
  scratch.query.Prepare(*space_, *rows_, query);
  scratch.results.Reset(RankedRowsFor(options.k, *space_));
  scratch.counters = {};
  const KeyProbe probe = ProbeOf(*space_, scratch.query);
  LB_TRY(WalkCodes(Lists(*this), Codes(), entries_, probe, CodeWalkOptionsOf(options), scratch));
  const bool exact = options.exact_distances || space_->metric() == Metric::kJaccard;
  scratch.counters.refined += exact ? scratch.results.size() : 0;
  if (options.counters != nullptr) {
    options.counters->Add(scratch.counters);
  }
  if (exact) {
    return RankExactly(*rows_, query, scratch.results.keys(), options.k);
  }
  std::vector<Neighbor> neighbors;
  for (size_t i = 0; i < scratch.results.size() && i < options.k; ++i) {
    const PoolKey key = scratch.results[i];
    neighbors.push_back({scratch.query.DistanceOf(FloatOfKey(key)), IdOfKey(key)});
  }
  return neighbors;
}

}  // namespace longbow::index
