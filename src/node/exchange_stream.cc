#include "node/exchange_stream.h"

#include <arrow/api.h>

#include "node/query_rows.h"
#include "wire/results.h"

namespace longbow::node {
namespace {

// The contract has words of its own for binary searches.
Status CheckSearchable(Services& services, const std::string& dataset) {
  const auto found = services.store.Find(dataset);
  if (!found.ok()) {
    return found.status().code() == StatusCode::kNotFound ? NotFound("dataset not found: " + dataset) : found.status();
  }
  return (*found)->shard.Pin()->schema->vector_column >= 0 ? Status() : FailedPrecondition("dataset has no index");
}

// The two things that a DoExchange may be.
constexpr Verb kSearch{"DoExchange/VectorSearch", access::Right::kRead, Scope::kDataset};
constexpr Verb kIngest{"DoExchange/ingest", access::Right::kWrite, Scope::kDataset};

}  // namespace

std::vector<Verb> ExchangeVerbs() { return {kSearch, kIngest}; }

ExchangeStream::ExchangeStream(std::shared_ptr<net::Call> call, const Services& given)
    : ServiceCall(std::move(call), given, "do_exchange"),
      queries_(services().receive_cache),
      ingest_(
          services(), [this](const IngestStream::Ack& ack) { OnAck(ack); }, [this] { OnSettled(); }) {}

void ExchangeStream::OnMessage(net::Message message) {
  // Which pool is right is known only after the first message; later ones go where their kind of work belongs.
  ThreadPool& pool = mode_ == Mode::kSearch ? services().search_pool : services().write_pool;
  RunOn(pool, [this, message = std::move(message)] {
    if (Status status = Handle(message); !status.ok()) {
      End(status);
    }
  });
}

Status ExchangeStream::Handle(const net::Message& message) {
  LB_ASSIGN(const wire::FlightData data, wire::ParseFlightData(message));
  if (mode_ == Mode::kUnknown) {
    LB_TRY(ChooseMode(data));
  }
  if (mode_ == Mode::kSearch) {
    LB_TRY(HandleSearch(data));
    call().Read();
    return {};
  }
  LB_ASSIGN(const bool read_on, ingest_.Feed(data, shared_from_this(), cancellation()));
  if (read_on) {
    call().Read();
  }
  return {};
}

Status ExchangeStream::ChooseMode(const wire::FlightData& first) {
  if (!first.descriptor) {
    return InvalidArgument(
        "DoExchange needs a descriptor in its first message: cmd 'VectorSearch' or path ['ingest', <dataset>]");
  }
  const wire::Descriptor& descriptor = *first.descriptor;
  if (descriptor.command == "VectorSearch") {
    mode_ = Mode::kSearch;
    return MayCall(kSearch, services().store.grant());
  }
  if (!descriptor.path.empty() && descriptor.path.front() == "ingest") {
    if (descriptor.path.size() < 2 || descriptor.path[1].empty()) {
      return InvalidArgument("DoExchange ingest requires dataset name in path");
    }
    mode_ = Mode::kIngest;
    ingest_.SetDataset(descriptor.path[1]);
    LB_TRY(MayCall(kIngest, services().store.grant()));
    return services().store.MayUse(descriptor.path[1], access::Right::kWrite);
  }
  return Unimplemented(
      "DoExchange offers cmd 'VectorSearch' and path ['ingest', <dataset>]; the replication commands (sync, root, "
      "merkle_node) are not in this version");
}

Status ExchangeStream::HandleSearch(const wire::FlightData& data) {
  LB_ASSIGN(const std::optional<RowBatch> batch, queries_.Feed(data));
  if (!batch) {
    return {};
  }
  LB_ASSIGN(const std::vector<SearchRequest> requests, QueriesOf(*batch->rows));
  if (requests.empty()) {
    return InvalidArgument("empty search request");
  }
  searched_ = true;
  for (const SearchRequest& request : requests) {
    LB_TRY(CheckSearchable(services(), request.collection));
    LB_ASSIGN(const std::vector<engine::QueryResult> results, Search(services(), request, cancellation()));
    if (answers_ == nullptr) {
      answers_ = std::make_unique<wire::BatchEncoder>(wire::HitSchema(false));
      LB_ASSIGN(net::Message schema, answers_->Schema());
      call().Send(std::move(schema));
    }
    const auto hits = wire::HitBatch(results.front().hits, {}, false);
    // What came with the query goes back with its answer, so that a client can tell the answers apart.
    LB_ASSIGN(std::vector<net::Message> messages, answers_->Batch(*hits, data.app_metadata.value_or("")));
    for (net::Message& message : messages) {
      call().Send(std::move(message));
    }
  }
  return {};
}

void ExchangeStream::OnAck(const IngestStream::Ack& ack) {
  if (!ack.status.ok()) {
    return End(ack.status);
  }
  if (ended()) {
    return;
  }
  if (ack.batch > 0) {
    call().Send(wire::MetadataMessage("{\"batch_id\":" + std::to_string(ack.batch) +
                                      ",\"rows\":" + std::to_string(ack.rows) + ",\"status\":\"acked\"}"));
  }
}

void ExchangeStream::OnSettled() {
  if (ingest_.TakeRoom()) {
    call().Read();
  }
  if (ingest_.done()) {
    End({});
  }
}

void ExchangeStream::OnEnd() {
  RunOn(services().write_pool, [this] {
    if (mode_ == Mode::kUnknown) {
      return End(InvalidArgument("DoExchange ended before its first message"));
    }
    if (mode_ == Mode::kSearch) {
      return End(searched_ ? Status() : InvalidArgument("empty search request"));
    }
    if (Status status = ingest_.Finish(shared_from_this(), cancellation()); !status.ok()) {
      return End(status);
    }
    if (ingest_.done()) {
      End({});
    }
  });
}

}  // namespace longbow::node
