// Binary searches on one long-lived stream, many of them under way at once.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/search.h"
#include "model/query.h"
#include "net/net.h"
#include "node/services.h"
#include "wire/flight_data.h"

namespace arrow {
class Schema;
}

namespace longbow::node {

// What the stream's first descriptor asks for.
struct SearchExchangeOptions {
  // Of every query, where its row does not say otherwise: dataset, k, ef, filter, columns, vectors, limits.
  SearchRequest defaults;
  // Batches are answered as they are done, and one that fails is answered by its error; else one after another, and an
  // error ends the stream.
  bool in_any_order = false;
};
// Whether a descriptor's cmd asks for searches: `VectorSearch`, or an object as that of a search ticket.
bool IsSearchCommand(const std::string& cmd);
// Of such a cmd. INVALID_ARGUMENT.
Result<SearchExchangeOptions> SearchExchangeOptionsOf(const std::string& cmd);

// One for each stream. Messages come one at a time (Take); searches run on whatever threads brought them.
class SearchExchange {
 public:
  SearchExchange(SearchExchangeOptions options, Services& services);

  // Decodes one message; true if it completed a batch of queries, which Answer is to be called with.
  struct Queries {
    std::vector<SearchRequest> requests;
    std::string app_metadata;
  };
  Result<std::optional<Queries>> Take(const wire::FlightData& data);
  // Searches, and sends a batch of hits for each query, in order, with the metadata that came with the queries.
  Status Answer(const Queries& queries, net::Call& call, const Cancellation* cancellation);

  size_t in_flight_max() const;
  bool took_any() const { return took_any_; }

 private:
  Status AnswerAll(const Queries& queries, net::Call& call, const Cancellation* cancellation);
  Status Send(const SearchRequest& request, const std::vector<engine::QueryResult>& results,
              const std::string& app_metadata, net::Call& call);

  const SearchExchangeOptions options_;
  Services& services_;
  wire::BatchDecoder decoder_;  // of whoever handles the one message read
  bool took_any_ = false;       // likewise

  std::mutex send_mu_;
  std::unique_ptr<wire::BatchEncoder> encoder_;  // guarded by send_mu_
  std::shared_ptr<arrow::Schema> schema_;        // guarded by send_mu_
};

}  // namespace longbow::node
