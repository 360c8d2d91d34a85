#include "node/search_exchange.h"

#include <arrow/api.h>

#include <nlohmann/json.hpp>

#include "node/query_rows.h"
#include "node/searching.h"
#include "wire/requests.h"
#include "wire/results.h"

namespace longbow::node {
namespace {

constexpr char kPlainCommand[] = "VectorSearch";
constexpr size_t kBatchesInFlightMax = 16;
constexpr size_t kQueriesTogetherMax = 64;  // of one batch, searched as one request; the first answers come sooner

// The contract has words of its own for binary searches.
Status CheckSearchable(Services& services, const std::string& dataset) {
  const auto found = services.store.Find(dataset);
  if (!found.ok()) {
    return found.status().code() == StatusCode::kNotFound ? NotFound("dataset not found: " + dataset) : found.status();
  }
  return (*found)->shard.Pin()->schema->vector_column >= 0 ? Status() : FailedPrecondition("dataset has no index");
}

bool AskTheSame(const SearchRequest& a, const SearchRequest& b) {
  return a.collection == b.collection && a.k == b.k && a.ef == b.ef && a.recall_target == b.recall_target;
}

// Neighbouring queries that differ by their vectors alone become one request.
std::vector<SearchRequest> Grouped(std::vector<SearchRequest> requests) {
  std::vector<SearchRequest> groups;
  for (SearchRequest& request : requests) {
    if (groups.empty() || !AskTheSame(groups.back(), request) || groups.back().vectors.size() == kQueriesTogetherMax) {
      groups.push_back(std::move(request));
    } else {
      groups.back().vectors.push_back(std::move(request.vectors.front()));
    }
  }
  return groups;
}

// Ends the stream whatever was agreed on: it concerns the call, not one batch.
bool IsOfTheCall(StatusCode code) { return code == StatusCode::kCancelled || code == StatusCode::kDeadlineExceeded; }

}  // namespace

bool IsSearchCommand(const std::string& cmd) {
  const size_t first = cmd.find_first_not_of(" \t\r\n");
  return cmd == kPlainCommand || (first != std::string::npos && cmd[first] == '{');
}

Result<SearchExchangeOptions> SearchExchangeOptionsOf(const std::string& cmd) {
  SearchExchangeOptions options;
  if (cmd == kPlainCommand) {
    return options;
  }
  LB_ASSIGN(auto ticket, wire::ParseTicket(cmd));
  auto* search = std::get_if<SearchRequest>(&ticket);
  if (search == nullptr) {
    return InvalidArgument("DoExchange: a cmd in JSON is the object of a search ticket: {\"search\": {...}}");
  }
  if (!search->vectors.empty() || search->id || search->cursor || !search->text_query.empty() || search->explain) {
    return InvalidArgument("DoExchange: vector, vectors, id, cursor, text_query and explain have no place in the cmd");
  }
  options.defaults = std::move(*search);
  options.in_any_order = true;
  return options;
}

SearchExchange::SearchExchange(SearchExchangeOptions options, Services& services)
    : options_(std::move(options)), services_(services), decoder_(services.receive_cache) {}

size_t SearchExchange::in_flight_max() const { return options_.in_any_order ? kBatchesInFlightMax : 1; }

Result<std::optional<SearchExchange::Queries>> SearchExchange::Take(const wire::FlightData& data) {
  LB_ASSIGN(const std::optional<RowBatch> batch, decoder_.Feed(data));
  if (!batch) {
    return std::optional<Queries>();
  }
  LB_ASSIGN(std::vector<SearchRequest> requests, QueriesOf(*batch->rows, options_.defaults));
  if (requests.empty()) {
    return InvalidArgument("empty search request");
  }
  took_any_ = true;
  Queries queries{Grouped(std::move(requests)), std::string(data.app_metadata.value_or(""))};
  return std::optional<Queries>(std::move(queries));
}

Status SearchExchange::Answer(const Queries& queries, net::Call& call, const Cancellation* cancellation) {
  const Status status = AnswerAll(queries, call, cancellation);
  if (status.ok() || !options_.in_any_order || IsOfTheCall(status.code())) {
    return status;
  }
  const nlohmann::json answer{{"app_metadata", queries.app_metadata},
                              {"code", StatusCodeName(status.code())},
                              {"error", std::string(status.message())}};
  call.Send(wire::MetadataMessage(answer.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)));
  return {};
}

Status SearchExchange::AnswerAll(const Queries& queries, net::Call& call, const Cancellation* cancellation) {
  for (const SearchRequest& request : queries.requests) {
    LB_TRY(CheckSearchable(services_, request.collection));
    LB_ASSIGN(const std::vector<engine::QueryResult> results, Search(services_, request, cancellation));
    LB_TRY(Send(request, results, queries.app_metadata, call));
  }
  return {};
}

// What came with the queries goes back with each answer, so that a client can tell the answers apart.
Status SearchExchange::Send(const SearchRequest& request, const std::vector<engine::QueryResult>& results,
                            const std::string& app_metadata, net::Call& call) {
  const std::lock_guard lock(send_mu_);
  for (const engine::QueryResult& result : results) {
    const auto hits = wire::HitBatch(result.hits, result.vectors, request.include_vectors, result.columns.get());
    if (encoder_ == nullptr) {
      schema_ = hits->schema();
      encoder_ = std::make_unique<wire::BatchEncoder>(schema_);
      LB_ASSIGN(net::Message schema, encoder_->Schema());
      call.Send(std::move(schema));
    } else if (!hits->schema()->Equals(*schema_, false)) {
      return FailedPrecondition("the columns of dataset '" + request.collection +
                                "' are not those that this stream's answers began with: use another stream");
    }
    LB_ASSIGN(std::vector<net::Message> messages, encoder_->Batch(*hits, app_metadata));
    for (net::Message& message : messages) {
      call.Send(std::move(message));
    }
  }
  return {};
}

}  // namespace longbow::node
