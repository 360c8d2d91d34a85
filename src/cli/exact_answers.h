// The right answers that recall is measured against.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/status.h"
#include "cli/npy_file.h"
#include "cli/row_mask.h"
#include "index/vector_rows.h"

namespace longbow::cli {

// For each query the ids of its min(k, rows that pass) nearest rows, ascending (for look-up, not by distance).
class ExactAnswers {
 public:
  ExactAnswers() = default;
  explicit ExactAnswers(std::vector<std::vector<uint32_t>> ids) : ids_(std::move(ids)) {
    for (std::vector<uint32_t>& answer : ids_) {
      std::sort(answer.begin(), answer.end());
    }
  }

  size_t queries() const { return ids_.size(); }
  size_t size(size_t query) const { return ids_[query].size(); }
  bool Contains(size_t query, uint32_t id) const {
    return std::binary_search(ids_[query].begin(), ids_[query].end(), id);
  }

 private:
  std::vector<std::vector<uint32_t>> ids_;
};

// By measuring every row that passes (`mask`; null = all). rows: the base, finished; queries: [n, dimension].
Result<ExactAnswers> FindExactAnswers(const index::VectorRows& rows, const Matrix<float>& queries, uint32_t k,
                                      const RowMask* mask, uint32_t threads);

// The first k columns of a file of answers. INVALID_ARGUMENT if it has another number of rows than there are queries,
// fewer than k columns, or names a row that does not exist or does not pass the mask. -1 at the end of a line: fewer
// than k rows pass.
Result<ExactAnswers> TakeExactAnswers(const Matrix<int64_t>& file, const std::string& path, size_t queries, uint32_t k,
                                      uint32_t base_rows, const RowMask* mask);

}  // namespace longbow::cli
