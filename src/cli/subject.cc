#include "cli/subject.h"

#include <algorithm>
#include <atomic>

#include "cli/engine_subject.h"
#include "cli/parallel.h"
#include "index/flat_search.h"
#include "index/hnsw.h"
#include "index/vector_rows.h"
#include "model/float16.h"

namespace longbow::cli {
namespace {

// Rows and who of them is deleted; what an exact scan needs.
class FlatSubject : public Subject {
 public:
  FlatSubject(SubjectOptions options, std::shared_ptr<index::VectorRows> rows)
      : options_(std::move(options)), rows_(std::move(rows)), deleted_at_(options_.capacity) {}

  Status Build(const float* rows, uint32_t count) override {
    Write(0, rows, count);
    count_ = count;
    return {};
  }

  Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const override {
    FillFilter(options.filter);
    LB_ASSIGN(const index::TypedQuery typed, TypedQueryOf(query));
    return index::FlatSearch(*rows_, typed, options);
  }

  uint64_t SizeBytes() const override {
    const uint64_t norm_bytes = options_.metric == Metric::kCosine ? sizeof(double) : 0;
    return static_cast<uint64_t>(count_) * (rows_->row_bytes() + norm_bytes);
  }

  Result<index::LocalId> Insert(const float* row) override {
    if (count_ == options_.capacity) {
      return ResourceExhausted("the index has room for " + std::to_string(options_.capacity) + " rows");
    }
    Write(count_, row, 1);
    return count_++;
  }

  Status Delete(index::LocalId id) override {
    deleted_at_[id].store(1, std::memory_order_relaxed);
    return {};
  }

  uint32_t CountUnreachable() const override { return 0; }

 protected:
  // Float16 rows take float32 queries of their own making; float32 rows the query as it is.
  Result<index::TypedQuery> TypedQueryOf(const float* query) const {
    if (options_.type == ElementType::kFloat32) {
      return index::TypedQuery(query);
    }
    return index::TypedQuery::For(options_.type, options_.metric, {query, query + options_.dimension});
  }

  void Write(uint32_t first, const float* rows, uint32_t count) {
    const size_t values = static_cast<size_t>(count) * options_.dimension;
    if (options_.type == ElementType::kFloat32) {
      std::copy(rows, rows + values, rows_->MutableRow(first));
    } else {
      std::transform(rows, rows + values, reinterpret_cast<uint16_t*>(rows_->MutableBytes(first)), HalfFromFloat);
    }
    rows_->FinishRows(first, first + count);
  }

  void FillFilter(index::RowFilter& filter) const {
    filter.end = count_;
    filter.deleted_at = deleted_at_.data();
    filter.version = 1;
  }

  const SubjectOptions options_;
  const std::shared_ptr<index::VectorRows> rows_;
  std::vector<std::atomic<uint64_t>> deleted_at_;
  uint32_t count_ = 0;
};

class ActiveSubject final : public FlatSubject {
 public:
  ActiveSubject(SubjectOptions options, std::shared_ptr<index::VectorRows> rows, std::unique_ptr<index::Hnsw> graph)
      : FlatSubject(std::move(options), std::move(rows)), graph_(std::move(graph)) {}

  Status Build(const float* rows, uint32_t count) override {
    LB_TRY(FlatSubject::Build(rows, count));
    return RunInParallel(options_.threads, count, [this](size_t i) {
      graph_->Insert(static_cast<index::LocalId>(i));
      return Status();
    });
  }

  Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const override {
    FillFilter(options.filter);
    LB_ASSIGN(const index::TypedQuery typed, TypedQueryOf(query));
    return graph_->Search(typed, options);
  }

  // Lists of level 0 are 2 m links; one row in m has a list of m links above, and those levels add up to 1 / (m - 1).
  uint64_t SizeBytes() const override {
    const uint64_t m = graph_->options().m;
    const uint64_t ground_bytes = (2 * m * sizeof(uint32_t) + 63) / 64 * 64;
    return FlatSubject::SizeBytes() + count_ * (ground_bytes + sizeof(uint32_t) + m * sizeof(uint32_t) / (m - 1));
  }

  Result<index::LocalId> Insert(const float* row) override {
    LB_ASSIGN(const index::LocalId id, FlatSubject::Insert(row));
    graph_->Insert(id);
    return id;
  }

  uint32_t CountUnreachable() const override { return graph_->inserted_rows() - graph_->CountReachableRows(); }

 private:
  const std::unique_ptr<index::Hnsw> graph_;
};

}  // namespace

Result<std::unique_ptr<Subject>> MakeSubject(const SubjectOptions& options, const kernels::Kernels& kernels) {
  if (options.state == "engine") {
    return MakeEngineSubject(options, kernels);
  }
  LB_ASSIGN(std::shared_ptr<index::VectorRows> rows,
            index::VectorRows::Create(options.dimension, options.capacity, options.metric, kernels, options.type));
  if (options.state == "flat") {
    return std::unique_ptr<Subject>(std::make_unique<FlatSubject>(options, std::move(rows)));
  }
  if (options.state == "active") {
    LB_ASSIGN(std::unique_ptr<index::Hnsw> graph, index::Hnsw::Create(rows, {}));
    return std::unique_ptr<Subject>(std::make_unique<ActiveSubject>(options, std::move(rows), std::move(graph)));
  }
  return InvalidArgument("state must be one of: " + std::string(kSubjectStates) + "; got '" + options.state + "'");
}

}  // namespace longbow::cli
