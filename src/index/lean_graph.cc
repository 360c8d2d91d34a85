// hot path: walks over a lean graph. Budget: memory; 392 bytes for each row seen at 384 dimensions.
#include "index/lean_graph.h"

#include <algorithm>
#include <cstring>

#include "base/parallel_for.h"
#include "index/node_lists.h"
#include "index/rank.h"
#include "index/reserved_memory.h"

namespace longbow::index {
namespace {

constexpr size_t kPieceRows = 1024;
constexpr size_t kIdsBytes = FinalLinks::kDegree * sizeof(LocalId);

size_t IdsOffset(const CodeSpace& space) { return CodeArray::RowBytes(space.dimension()); }

}  // namespace

LeanGraph::LeanGraph(std::shared_ptr<const VectorRows> rows, std::shared_ptr<const CodeSpace> space, LocalId rows_end,
                     EntryPoints entries, uint32_t links_moved)
    : rows_(std::move(rows)),
      space_(std::move(space)),
      rows_end_(rows_end),
      node_bytes_(IdsOffset(*space_) + kIdsBytes),
      entries_(std::move(entries)),
      links_moved_(links_moved) {}

Result<std::unique_ptr<LeanGraph>> LeanGraph::Build(const ActiveGraph& graph, const SealOptions& options) {
  LB_ASSIGN(const FinalLinks links, FinishLinks(graph, options));
  EntryPoints entries = links.entries == nullptr ? EntryPoints() : *links.entries;
  std::unique_ptr<LeanGraph> lean(new LeanGraph(graph.shared_rows(), graph.codes().shared_space(), links.rows,
                                                std::move(entries), links.links_moved));
  LB_ASSIGN(ReservedMemory memory,
            ReservedMemory::Create(lean->node_bytes_ * std::max<size_t>(1, links.rows), "graph", options.place));
  uint8_t* const nodes = memory.As<uint8_t>();
  const size_t ids_offset = IdsOffset(*lean->space_);
  LB_TRY(ParallelFor(links.rows, {options.threads, kPieceRows, options.cancellation},
                     [&, stride = lean->node_bytes_](size_t begin, size_t end) {
                       for (size_t i = begin; i < end; ++i) {
                         const auto id = static_cast<LocalId>(i);
                         if (graph.links().IsLinked(id)) {
                           std::memcpy(nodes + i * stride, graph.codes().row(id), ids_offset);
                           std::memcpy(nodes + i * stride + ids_offset, links.at(id), kIdsBytes);
                         }
                       }
                     }));
  lean->nodes_ = ShareMemory(std::move(memory), links.rows * lean->node_bytes_);
  return lean;
}

Slices LeanGraph::Image() const {
  ImageWriter image(ImageKind::kLean, *rows_, rows_end_);
  image.AddCopy(ImageSection::kLayout, &links_moved_, sizeof(links_moved_));
  space_->Save(image);
  image.AddCopy(ImageSection::kEntryIds, entries_.ids.data(), entries_.ids.size() * sizeof(LocalId));
  image.AddCopy(ImageSection::kEntryCodes, entries_.codes.data(), entries_.codes.size());
  image.Add(ImageSection::kNodes, nodes_);
  return image.Finish();
}

Result<std::unique_ptr<LeanGraph>> LeanGraph::Open(Slice image, std::shared_ptr<const VectorRows> rows) {
  LB_ASSIGN(const ImageReader reader, ImageReader::Open(std::move(image), ImageKind::kLean, *rows));
  LB_ASSIGN(std::shared_ptr<const CodeSpace> space, CodeSpace::Open(reader, *rows));
  uint32_t moved;
  LB_ASSIGN(const Slice layout, reader.Section(ImageSection::kLayout, sizeof(moved)));
  std::memcpy(&moved, layout.data(), sizeof(moved));
  EntryPoints entries;
  LB_ASSIGN(const Slice ids, reader.Section(ImageSection::kEntryIds));
  entries.ids.resize(ids.size() / sizeof(LocalId));
  if (ids.size() % sizeof(LocalId) != 0 || entries.ids.size() > EntryPoints::kCountMax) {
    return BadGraphImage("entry points of " + std::to_string(ids.size()) + " bytes");
  }
  if (!entries.ids.empty()) {
    std::memcpy(entries.ids.data(), ids.data(), ids.size());
  }
  LB_TRY(reader.CheckIds(ids.data(), entries.ids.size(), "entry points"));
  LB_ASSIGN(const Slice codes, reader.Section(ImageSection::kEntryCodes, entries.ids.size() * IdsOffset(*space)));
  entries.codes.assign(codes.begin(), codes.end());
  const LocalId end = reader.rows_end();
  std::unique_ptr<LeanGraph> lean(new LeanGraph(std::move(rows), std::move(space), end, std::move(entries), moved));
  LB_ASSIGN(lean->nodes_, reader.Section(ImageSection::kNodes, lean->rows_end_ * lean->node_bytes_));
  const CodeArray nodes = lean->Codes();
  for (LocalId id = 0; id < lean->rows_end_; ++id) {
    LB_TRY(reader.CheckIds(nodes.row(id) + IdsOffset(*lean->space_), FinalLinks::kDegree, "links"));
  }
  return lean;
}

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
  LB_TRY(WalkCodes(NodeLists(Codes(), IdsOffset(*space_), rows_end_), Codes(), entries_, probe,
                   CodeWalkOptionsOf(options), scratch));
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
