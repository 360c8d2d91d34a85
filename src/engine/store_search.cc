// Searches of a store: by vectors, words, or a row that is there.
#include "engine/store.h"

namespace longbow::engine {

Result<std::vector<QueryResult>> Store::Search(const SearchRequest& request, const Cancellation* cancellation) const {
  LB_ASSIGN(const std::shared_ptr<Collection> collection, Find(request.collection));
  collection->last_search.store(std::chrono::steady_clock::now(), std::memory_order_relaxed);
  const ShardId shard = collection->shard.id();
  if (!request.id) {
    return engine::Search(*collection->shard.PinNow(), request, options_.search, cancellation, shard);
  }
  if (!request.vectors.empty()) {
    return InvalidArgument("id and vector exclude each other: the id stands for the vector of its row");
  }
  LB_ASSIGN(const RowKey key, ParseKey(*collection->shard.Pin()->schema, *request.id));
  const Shard::Located located = collection->shard.Locate(key);
  if (!located.live) {
    return NotFound("id " + *request.id + " not found in dataset " + request.collection);
  }
  SearchRequest by_vector = request;
  LB_ASSIGN(QueryVector query, VectorOf(*located.view, *located.ordinal));
  by_vector.vectors.push_back(std::move(query));
  return engine::Search(*located.view, by_vector, options_.search, cancellation, shard);
}

Result<std::vector<Hit>> Store::SearchById(const std::string& name, const std::string& id, int64_t k,
                                           const Cancellation* cancellation) const {
  SearchRequest request;
  request.collection = name;
  request.id = id;
  request.k = k;
  LB_ASSIGN(std::vector<QueryResult> results, Search(request, cancellation));
  return std::move(results.front().hits);
}

}  // namespace longbow::engine
