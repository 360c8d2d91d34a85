// The graph of a segment that takes no more rows: everything a step of a walk needs in one place.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/status.h"
#include "index/active_graph.h"
#include "index/code_projection.h"
#include "index/code_walk.h"
#include "index/final_links.h"
#include "index/seal_options.h"
#include "index/sealed_layout.h"

namespace longbow::index {

// One block a row: the 1-bit codes of its 32 neighbours relative to it (RaBitQ, Gao & Long, SIGMOD 2024; inside the
// node as SymphonyQG has them, Gou et al., SIGMOD 2025), its own int8 row, factors and ids. A step of a walk reads one
// block in order: the exact int8 key of its row and estimates of all neighbours. The best rows are ranked by a second
// int8 level, and by the exact rows. Immutable, thread safe.
class SealedGraph final : public VectorIndex {
 public:
  // Where edges go by inner product, neighbours are far from each other, and codes relative to them say too little: of
  // such a graph LeanGraph is made instead.
  static bool Suits(const ActiveGraph& graph) { return graph.codes().space().product_constant() == 0; }

  // From a graph whose lists nobody changes meanwhile. RESOURCE_EXHAUSTED if there is no memory for it;
  // CANCELLED, DEADLINE_EXCEEDED.
  static Result<std::unique_ptr<SealedGraph>> Build(const ActiveGraph& graph, const SealOptions& options);

  // The graph as docs/formats/graph.md has it: pieces that follow each other and share the graph's memory.
  Slices Image() const;
  // From such bytes, which it uses where they are, best aligned to 64; `rows` are those it was built for. Every byte is
  // read once and checked: DATA_LOSS if any is damaged or the rows are others, FAILED_PRECONDITION if a newer program
  // wrote it.
  static Result<std::unique_ptr<SealedGraph>> Open(Slice image, std::shared_ptr<const VectorRows> rows);

  // See VectorIndex. options.ef is raised to k.
  Result<std::vector<Neighbor>> Search(const TypedQuery& query, const SearchOptions& options) const override;

  // Whether a walk among rows of which this share passes looks further than its ef by itself, by how many pass where
  // the query is; else the caller gives it a larger ef.
  static bool LooksFurtherItself(double passing_share) { return passing_share >= kCollectShareMax; }

  size_t size_bytes() const;
  size_t step_bytes() const { return layout_.block_stride; }
  size_t code_dimension() const { return projection_.dimension(); }
  LocalId rows_end() const { return layout_.rows; }
  uint32_t links_moved() const { return links_moved_; }

 private:
  struct Scratch : CodeWalkScratch {
    SearchPool wanted;              // estimates of rows that pass a predicate
    std::vector<PoolKey> expanded;  // with the int8 keys, not yet among the results
    bool scattered = false;         // what the walk has expanded has no neighbours in common
    CodedQuery query;
    std::vector<float> code_values;  // the query in the codes' dimensions
    std::vector<uint8_t> tables;
    kernels::BlockQuery block_query;
  };

  SealedGraph(std::shared_ptr<const VectorRows> rows, std::shared_ptr<const CodeSpace> space, CodeProjection projection,
              const SealedLayout& layout)
      : rows_(std::move(rows)), space_(std::move(space)), projection_(std::move(projection)), layout_(layout) {}

  const uint8_t* Block(LocalId id) const { return blocks_.data() + id * layout_.block_stride; }
  const uint8_t* EntryBlock(size_t i) const { return entry_blocks_.data() + i * layout_.block_stride; }
  const uint8_t* Residual(LocalId id) const { return residuals_.data() + id * layout_.shape.dimension; }

  void Prepare(const TypedQuery& query, Scratch& scratch) const;
  void Start(const SearchOptions& options, size_t ef, Scratch& scratch) const;
  void OfferNeighbors(const uint8_t* block, float node_key, const SearchOptions& options, Scratch& scratch) const;
  void CollectResults(const SearchOptions& options, Scratch& scratch) const;
  Status Walk(const SearchOptions& options, const StopRule* stop, size_t ef, Scratch& scratch) const;
  Status WalkStage(const SearchOptions& options, Scratch& scratch) const;
  Status WalkEstimates(const SearchOptions& options, Scratch& scratch) const;
  Status WalkRows(const SearchOptions& options, Scratch& scratch) const;
  static float SpreadOf(const Scratch& scratch);
  Status WalkUntilEnough(const SearchOptions& options, Scratch& scratch) const;
  // Below, rows that pass are looked for among all that are estimated; from here on enough of those that are expanded
  // anyhow pass, and looking for more takes longer than it helps.
  static constexpr double kCollectShareMax = 0.35;
  static bool CollectsWanted(const SearchOptions& options) {
    return options.filter.passing != nullptr && !LooksFurtherItself(options.passing_share);
  }
  static double PassingShare(const SearchOptions& options, const Scratch& scratch);
  void RefineWanted(const SearchOptions& options, Scratch& scratch) const;
  std::vector<Neighbor> Rank(const TypedQuery& query, const SearchOptions& options, Scratch& scratch) const;

  const std::shared_ptr<const VectorRows> rows_;
  const std::shared_ptr<const CodeSpace> space_;
  const CodeProjection projection_;
  const SealedLayout layout_;
  Slice blocks_;        // [rows, block_stride]
  Slice residuals_;     // [rows, dimension]
  Slice entry_blocks_;  // [entry_block_count, block_stride]: the entry points, coded against the centre
  uint32_t links_moved_ = 0;

  mutable ScratchPool<Scratch> scratch_;
};

}  // namespace longbow::index
