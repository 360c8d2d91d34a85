#include "node/exchange_stream.h"

namespace longbow::node {
namespace {

constexpr size_t kAnswersWaitingMax = 64;  // messages that the client has not taken yet

// The two things that a DoExchange may be.
constexpr Verb kSearch{"DoExchange/VectorSearch", access::Right::kRead, Scope::kDataset};
constexpr Verb kIngest{"DoExchange/ingest", access::Right::kWrite, Scope::kDataset};

}  // namespace

std::vector<Verb> ExchangeVerbs() { return {kSearch, kIngest}; }

ExchangeStream::ExchangeStream(std::shared_ptr<net::Call> call, const Services& given)
    : ServiceCall(std::move(call), given, "do_exchange"),
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
    return HandleSearch(data);
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
  if (IsSearchCommand(descriptor.command)) {
    LB_ASSIGN(SearchExchangeOptions options, SearchExchangeOptionsOf(descriptor.command));
    search_ = std::make_unique<SearchExchange>(std::move(options), services());
    mode_ = Mode::kSearch;
    is_search_.store(true, std::memory_order_release);
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

// Reads on before it searches, as far as more may be under way; decoding stays in order, since the next message comes
// only after that.
Status ExchangeStream::HandleSearch(const wire::FlightData& data) {
  LB_ASSIGN(const std::optional<SearchExchange::Queries> queries, search_->Take(data));
  if (!queries) {
    call().Read();
    return {};
  }
  {
    const std::lock_guard lock(flow_mu_);
    ++in_flight_;
    reading_ = false;
  }
  ReadOn();
  const Status status = search_->Answer(*queries, call(), cancellation());
  {
    const std::lock_guard lock(flow_mu_);
    --in_flight_;
  }
  LB_TRY(status);
  ReadOn();
  return {};
}

// The next message, unless enough are under way, or answers wait for a client that does not take them; or the end.
void ExchangeStream::ReadOn() {
  bool at_end = false;
  {
    const std::lock_guard lock(flow_mu_);
    at_end = half_closed_ && in_flight_ == 0;
    const bool reads =
        !half_closed_ && !reading_ && in_flight_ < search_->in_flight_max() && call().Waiting() < kAnswersWaitingMax;
    if (!at_end && !reads) {
      return;
    }
    reading_ = true;
  }
  if (at_end) {
    return End(search_->took_any() ? Status() : InvalidArgument("empty search request"));
  }
  call().Read();
}

void ExchangeStream::OnDrain() {
  if (is_search_.load(std::memory_order_acquire) && !ended()) {
    ReadOn();
  }
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
      {
        const std::lock_guard lock(flow_mu_);
        half_closed_ = true;
      }
      return ReadOn();
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
