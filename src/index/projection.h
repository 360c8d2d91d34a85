// The 1-bit codes of a segment's rows once more, in the order of a filter column: what passes is then one stretch.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "base/status.h"
#include "index/code_space.h"
#include "index/reserved_memory.h"
#include "index/vector_index.h"
#include "index/vector_rows.h"

namespace longbow::index {

// Rows whose values of a column lie in a range, or equal one, stand together here, so a filter on that column needs no
// walk: their codes are read one after the other (the fast scan of Andre et al., VLDB 2015, on the codes of RaBitQ, Gao
// & Long, SIGMOD 2024), 32 rows at a time, and the best candidates are measured exactly. The cost is that of the rows
// in the range, an eighth of a byte a dimension each, whatever the filter has to do with the vectors. Immutable, thread
// safe. dimension / 8 + 12 bytes a row.
class Projection {
 public:
  // For metrics of numbers. `order`: every row that may be asked for, once, all of them published
  // in `rows`, which `space` was learned from. RESOURCE_EXHAUSTED if the memory cannot be reserved;
  // CANCELLED, DEADLINE_EXCEEDED.
  static Result<std::unique_ptr<const Projection>> Build(std::shared_ptr<const CodeSpace> space, const VectorRows& rows,
                                                         std::vector<LocalId> order,
                                                         const Cancellation* cancellation = nullptr);

  // Positions [begin, end) of `order`.
  struct Range {
    uint32_t begin = 0;
    uint32_t end = 0;
  };
  // The rows of the range that options.filter contains: of those whose codes look nearest, max(k, `refined`) are
  // measured, and at most k nearest of them come back, nearest first, with exact distances. Fewer than k only if fewer
  // are contained. options.ef is ignored. Errors: CANCELLED, DEADLINE_EXCEEDED.
  Result<std::vector<Neighbor>> Search(const VectorRows& rows, const TypedQuery& query, Range range, size_t refined,
                                       const SearchOptions& options) const;

  uint32_t size() const { return static_cast<uint32_t>(order_.size()); }
  size_t size_bytes() const;
  // About what a projection of so many rows will take.
  static size_t SizeBytesOf(size_t dimension, size_t rows) { return rows * ((dimension + 15) / 16 * 2 + 12); }

 private:
  Projection(std::shared_ptr<const CodeSpace> space, std::vector<LocalId> order);
  Status Write(const VectorRows& rows, const Cancellation* cancellation);

  const std::shared_ptr<const CodeSpace> space_;
  const size_t line_count_;  // of a block of 32 rows
  const std::vector<LocalId> order_;
  ReservedMemory lines_;  // [blocks, line_count_, 64]
  // A row's key is term + ratio * <signs, query> and what all rows share. [blocks * 32]; rows beyond the last never are
  // nearest.
  std::vector<float> terms_;
  std::vector<float> ratios_;
};

}  // namespace longbow::index
