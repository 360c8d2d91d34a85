// The graph of a segment that takes no more rows, where memory is short: a third of the rows as float32.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "base/slice.h"
#include "base/status.h"
#include "index/code_walk.h"
#include "index/final_links.h"
#include "index/scratch_pool.h"
#include "index/seal_options.h"

namespace longbow::index {

// One node a row, dimension + 136 bytes, one after the other:
//
//   int8 row [dimension] | scale float32 | squared norm float32 | ids u32 [32]
//
// A step of a walk reads the ids of one node and the int8 rows of those it has not seen. Exact rows are read only to
// rank the last few candidates: they may be mapped from a file. Immutable, thread safe.
class LeanGraph final : public VectorIndex {
 public:
  // From a graph whose lists nobody changes meanwhile; of the options, those about codes do not matter.
  // RESOURCE_EXHAUSTED if there is no memory for it.
  static Result<std::unique_ptr<LeanGraph>> Build(const ActiveGraph& graph, const SealOptions& options);

  // See SealedGraph.
  Slices Image() const;
  static Result<std::unique_ptr<LeanGraph>> Open(Slice image, std::shared_ptr<const VectorRows> rows);

  // See VectorIndex. options.ef is raised to k. Without exact distances no row is read: those of 8-bit codes are right
  // to about one percent of the norms, and so is the order of rows nearer to each other than that.
  Result<std::vector<Neighbor>> Search(const TypedQuery& query, const SearchOptions& options) const override;

  size_t size_bytes() const { return static_cast<size_t>(rows_end_) * node_bytes_ + entries_.codes.size(); }
  // That a step of a walk reads: of a row's links about half were seen before.
  size_t step_bytes() const { return FinalLinks::kDegree / 2 * node_bytes_; }
  LocalId rows_end() const { return rows_end_; }
  uint32_t links_moved() const { return links_moved_; }

 private:
  struct Scratch : CodeWalkScratch {
    CodedQuery query;
  };

  LeanGraph(std::shared_ptr<const VectorRows> rows, std::shared_ptr<const CodeSpace> space, LocalId rows_end,
            EntryPoints entries, uint32_t links_moved);
  CodeArray Codes() const { return {&space_->kernels(), nodes_.data(), node_bytes_, space_->dimension()}; }

  const std::shared_ptr<const VectorRows> rows_;
  const std::shared_ptr<const CodeSpace> space_;
  const LocalId rows_end_;
  const size_t node_bytes_;
  const EntryPoints entries_;  // none if no row lives
  const uint32_t links_moved_;
  Slice nodes_;  // [rows_end_, node_bytes_]; rows that are not linked are zeros, and nothing points to them

  mutable ScratchPool<Scratch> scratch_;
};

}  // namespace longbow::index
