#include "cli/graph_subjects.h"

#include <algorithm>
#include <cstdio>

#include "base/parallel_for.h"
#include "cli/cpu_clock.h"
#include "cli/flat_subject.h"
#include "index/active_graph.h"
#include "index/lean_graph.h"
#include "index/recall_model.h"
#include "index/sealed_graph.h"

namespace longbow::cli {
namespace {

class ActiveSubject : public FlatSubject {
 public:
  using FlatSubject::FlatSubject;

  Status Build(const float* rows, uint32_t count) override {
    LB_TRY(FlatSubject::Build(rows, count));
    LB_ASSIGN(graph_, index::ActiveGraph::Create(rows_, count, {}));
    LB_TRY(ParallelFor(count, {.threads = options_.threads},
                       [this](size_t i, size_t) { graph_->Insert(static_cast<index::LocalId>(i)); }));
    graph_->Repair();
    return {};
  }

  Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const override {
    FillFilter(options.filter);
    LB_ASSIGN(const index::TypedQuery typed, TypedQueryOf(query));
    return SearchGraph(*graph_, typed, options);
  }

  Status SetRecallTarget(double target) override {
    recall_target_ = target;
    return recall_model_ == nullptr ? Calibrate(*graph_) : Status();
  }

  uint64_t SizeBytes() const override {
    const uint64_t link_bytes = sizeof(uint32_t) + index::SlackLinks::kSlots * (sizeof(uint32_t) + sizeof(float));
    return FlatSubject::SizeBytes() + count_ * (graph_->codes().stride() + link_bytes);
  }

  Result<index::LocalId> Insert(const float* row) override {
    LB_ASSIGN(const index::LocalId id, FlatSubject::Insert(row));
    index::RowFilter living;
    FillFilter(living);
    graph_->Insert(id, &living);
    return id;
  }

  uint32_t CountUnreachable() const override { return graph_->CountUnreachableRows(); }

  // What the repair agent does after deletes: lists forget the dead, islands are linked again.
  bool FinishBackgroundWork() override {
    std::vector<uint64_t> dead(options_.capacity / 64 + 1);
    for (index::LocalId id = 0; id < count_; ++id) {
      const bool is_dead = deleted_at_[id].load(std::memory_order_relaxed) != 0;
      dead[id >> 6] |= static_cast<uint64_t>(is_dead) << (id & 63);
    }
    if (std::ranges::all_of(dead, [](uint64_t word) { return word == 0; })) {
      return false;
    }
    graph_->Unlink(dead.data(), 0, count_);
    graph_->FreeRows(dead.data(), 0, count_);
    graph_->Repair();
    return true;
  }

 protected:
  // By the recall that was asked for, if one was. A rule knows no filter: its ef is taken then.
  Result<std::vector<index::Neighbor>> SearchGraph(const index::VectorIndex& graph, const index::TypedQuery& query,
                                                   index::SearchOptions options) const {
    if (recall_target_ == 0 || recall_model_ == nullptr) {
      return graph.Search(query, options);
    }
    const index::StopRule rule = recall_model_->RuleFor(options.k, recall_target_);
    if (options.filter.passing == nullptr) {
      options.stop = &rule;
    } else {
      options.ef = recall_model_->EfFor(options.k, recall_target_);
    }
    return graph.Search(query, options);
  }

  Status Calibrate(const index::VectorIndex& graph) {
    const double cpu = ProcessCpuSeconds();
    index::CalibrationOptions options;
    FillFilter(options.living);
    LB_ASSIGN(recall_model_, index::RecallModel::Calibrate(graph, *rows_, options));
    std::fprintf(stderr, "learned what recalls take: %.2f s CPU\n", ProcessCpuSeconds() - cpu);
    return {};
  }

  std::unique_ptr<index::ActiveGraph> graph_;
  double recall_target_ = 0;
  std::shared_ptr<const index::RecallModel> recall_model_;  // made when a recall is first asked for
};

class SealedSubject final : public ActiveSubject {
 public:
  SealedSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows, bool lean)
      : ActiveSubject(options, std::move(rows)), lean_(lean) {}

  // Inserted first, as rows are in a server, and then sealed; all of it counts as building.
  Status Build(const float* rows, uint32_t count) override {
    LB_TRY(ActiveSubject::Build(rows, count));
    if (lean_ || !index::SealedGraph::Suits(*graph_)) {
      LB_TRY(Seal<index::LeanGraph>());
    } else {
      LB_TRY(Seal<index::SealedGraph>());
    }
    graph_.reset();
    return {};
  }

  Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const override {
    FillFilter(options.filter);
    LB_ASSIGN(const index::TypedQuery typed, TypedQueryOf(query));
    return SearchGraph(*sealed_, typed, options);
  }

  Status SetRecallTarget(double target) override {
    recall_target_ = target;
    return recall_model_ == nullptr ? Calibrate(*sealed_) : Status();
  }

  uint64_t SizeBytes() const override {
    // Distances of codes need no row: those can stay in their file.
    return (options_.exact_distances ? FlatSubject::SizeBytes() : 0) + sealed_bytes_;
  }

  Result<index::LocalId> Insert(const float*) override { return Unimplemented("a sealed index takes no more rows"); }
  uint32_t CountUnreachable() const override { return 0; }
  bool FinishBackgroundWork() override { return false; }

 private:
  template <typename Graph>
  Status Seal() {
    LB_ASSIGN(auto sealed, Graph::Build(*graph_, {.threads = options_.threads}));
    sealed_bytes_ = sealed->size_bytes();
    sealed_ = std::move(sealed);
    return {};
  }

  const bool lean_;
  std::unique_ptr<const index::VectorIndex> sealed_;
  uint64_t sealed_bytes_ = 0;
};

}  // namespace

std::unique_ptr<Subject> MakeActiveSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows) {
  return std::make_unique<ActiveSubject>(options, std::move(rows));
}

std::unique_ptr<Subject> MakeSealedSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows) {
  return std::make_unique<SealedSubject>(options, std::move(rows), false);
}

std::unique_ptr<Subject> MakeLeanSubject(const SubjectOptions& options, std::shared_ptr<index::VectorRows> rows) {
  return std::make_unique<SealedSubject>(options, std::move(rows), true);
}

}  // namespace longbow::cli
