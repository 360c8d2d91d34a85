#include "node/searching.h"

#include <chrono>

#include "node/answer_size.h"
#include "wire/results.h"

namespace longbow::node {

Result<std::vector<engine::QueryResult>> Search(Services& services, const SearchRequest& request,
                                                const Cancellation* cancellation) {
  LB_ASSIGN(const std::shared_ptr<engine::Collection> collection, services.store.Find(request.collection));
  LB_TRY(CheckAnswerSize(*collection, request, services.shared.max_call_memory_bytes));
  const auto started = std::chrono::steady_clock::now();
  auto results = services.store.Search(request, cancellation);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  services.metrics.search_seconds.Observe(took.count());
  return results;
}

std::string PageMetadata(const SearchRequest& request, const engine::QueryResult& result) {
  const bool limited = request.radius || request.score_min;
  if (!limited && !request.cursor) {
    return {};
  }
  return wire::PageJson(request.cursor ? std::optional(result.cursor) : std::nullopt,
                        limited ? std::optional(result.truncated) : std::nullopt);
}

std::vector<const SearchExplanation*> ExplanationsOf(std::span<const engine::QueryResult> results) {
  std::vector<const SearchExplanation*> explanations;
  for (const engine::QueryResult& result : results) {
    if (result.explanation) {
      explanations.push_back(&*result.explanation);
    }
  }
  return explanations;
}

std::shared_ptr<arrow::Schema> ExplainedSchema(const SearchRequest& request,
                                               std::span<const engine::QueryResult> results) {
  const auto schema = wire::HitSchema(request.include_vectors, results.front().columns.get());
  return request.explain ? wire::WithExplanations(schema, ExplanationsOf(results)) : schema;
}

}  // namespace longbow::node
