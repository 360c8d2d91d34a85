#include "node/answer_size.h"

#include <algorithm>
#include <string>

#include "base/memory_limit.h"

namespace longbow::node {

Status CheckAnswerSize(const engine::Collection& collection, const SearchRequest& request, uint64_t most_bytes) {
  if (most_bytes == 0) {
    return {};
  }
  const std::shared_ptr<const engine::View> view = collection.shard.Pin();
  constexpr double kIdAndScoreBytes = 12;
  double hit_bytes = kIdAndScoreBytes;
  if (request.include_vectors) {
    hit_bytes += static_cast<double>(view->schema->dimension) * ElementSizeBytes(view->schema->element);
  }
  if (!request.columns.empty() && view->end_ordinal > 0) {
    hit_bytes += static_cast<double>(view->size_bytes) / static_cast<double>(view->end_ordinal);
  }
  const double hits = std::min(static_cast<double>(std::max<int64_t>(request.k, 0)), static_cast<double>(view->rows));
  const double queries = static_cast<double>(std::max<size_t>(request.vectors.size(), 1));
  const double bytes = queries * hits * hit_bytes;
  if (bytes <= static_cast<double>(most_bytes)) {
    return {};
  }
  return ResourceExhausted("the answer would take " + SizeText(static_cast<uint64_t>(std::min(bytes, 1e18))) +
                           ", at most " + SizeText(most_bytes) +
                           " are allowed (max_call_memory): ask for fewer queries at once, a smaller k, or without "
                           "vectors and columns");
}

}  // namespace longbow::node
