#include "cli/exact_answers.h"

#include <string>

#include "base/parallel_for.h"
#include "index/flat_search.h"

namespace longbow::cli {

Result<ExactAnswers> FindExactAnswers(const index::VectorRows& rows, const Matrix<float>& queries, uint32_t k,
                                      const RowMask* mask, uint32_t threads) {
  index::SearchOptions options;
  options.k = k;
  options.filter.end = rows.capacity();
  options.filter.passing = mask == nullptr ? nullptr : mask->words.data();
  std::vector<std::vector<uint32_t>> ids(queries.rows);
  LB_TRY(ParallelFor(queries.rows, {.threads = threads}, [&](size_t q, size_t) -> Status {
    LB_ASSIGN(const auto nearest, index::FlatSearch(rows, queries.row(q), options));
    for (const index::Neighbor& neighbor : nearest) {
      ids[q].push_back(neighbor.id);
    }
    return {};
  }));
  return ExactAnswers(std::move(ids));
}

Result<ExactAnswers> TakeExactAnswers(const Matrix<int64_t>& file, const std::string& path, size_t queries, uint32_t k,
                                      uint32_t base_rows, const RowMask* mask) {
  if (file.rows != queries) {
    return InvalidArgument(path + ": has answers to " + std::to_string(file.rows) + " queries, there are " +
                           std::to_string(queries));
  }
  if (file.columns < k) {
    return InvalidArgument(path + ": has " + std::to_string(file.columns) +
                           " answers a query, expected at least k = " + std::to_string(k));
  }
  std::vector<std::vector<uint32_t>> ids(queries);
  for (size_t q = 0; q < queries; ++q) {
    for (size_t i = 0; i < k; ++i) {
      const int64_t id = file.row(q)[i];
      if (id == -1) {
        break;
      }
      const std::string place = path + ": query " + std::to_string(q) + " names row " + std::to_string(id);
      if (id < 0 || id >= base_rows) {
        return InvalidArgument(place + ", the base has rows 0 to " + std::to_string(base_rows - 1));
      }
      if (mask != nullptr && !mask->Contains(static_cast<size_t>(id))) {
        return InvalidArgument(place +
                               ", which the filter leaves out: give the answers among the rows that pass, or none");
      }
      ids[q].push_back(static_cast<uint32_t>(id));
    }
    if (ids[q].empty()) {
      return InvalidArgument(path + ": query " + std::to_string(q) + " has no answer");
    }
  }
  return ExactAnswers(std::move(ids));
}

}  // namespace longbow::cli
