#include "node/searching.h"

#include <chrono>

namespace longbow::node {

Result<std::vector<engine::QueryResult>> Search(Services& services, const SearchRequest& request,
                                                const Cancellation* cancellation) {
  const auto started = std::chrono::steady_clock::now();
  auto results = services.store.Search(request, cancellation);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
  services.metrics.search_seconds.Observe(took.count());
  return results;
}

}  // namespace longbow::node
