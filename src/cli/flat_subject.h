// Rows and who of them is deleted, searched by exact scan; what the graphs add themselves to.
#pragma once

#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "cli/subject.h"
#include "index/vector_rows.h"

namespace longbow::cli {

class FlatSubject : public Subject {
 public:
  // rows: of options.capacity, empty.
  FlatSubject(SubjectOptions options, std::shared_ptr<index::VectorRows> rows)
      : options_(std::move(options)), rows_(std::move(rows)), deleted_at_(options_.capacity) {}

  Status Build(const float* rows, uint32_t count) override;
  Result<std::vector<index::Neighbor>> Search(const float* query, index::SearchOptions options) const override;
  uint64_t SizeBytes() const override;
  Result<index::LocalId> Insert(const float* row) override;
  Status Delete(index::LocalId id) override;
  uint32_t CountUnreachable() const override { return 0; }

 protected:
  // Float16 rows take float32 queries of their own making; float32 rows the query as it is.
  Result<index::TypedQuery> TypedQueryOf(const float* query) const;
  // The rows that are there and alive.
  void FillFilter(index::RowFilter& filter) const;

  // rows: [count, dimension], in the type that rows are kept in afterwards.
  void Write(uint32_t first, const float* rows, uint32_t count);

  const SubjectOptions options_;
  const std::shared_ptr<index::VectorRows> rows_;
  std::vector<std::atomic<uint64_t>> deleted_at_;
  uint32_t count_ = 0;
};

}  // namespace longbow::cli
