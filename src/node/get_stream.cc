#include "node/get_stream.h"

#include <arrow/api.h>

#include "flight.pb.h"
#include "node/searching.h"
#include "wire/requests.h"
#include "wire/results.h"

namespace longbow::node {
namespace {

namespace pb = arrow::flight::protocol;

constexpr size_t kBatchesWaitingMax = 2;

}  // namespace

void GetStream::OnMessage(net::Message message) {
  got_ticket_ = true;
  RunOn(services().search_pool, [this, message = std::move(message)] {
    if (Status status = Answer(message); !status.ok()) {
      End(status);
    }
  });
}

void GetStream::OnEnd() {
  if (!got_ticket_) {
    End(InvalidArgument("the call ended without a ticket"));
  }
}

Status GetStream::Answer(const net::Message& message) {
  pb::Ticket ticket;
  if (!ticket.ParseFromString(Joined(message))) {
    return InvalidArgument("malformed Ticket message");
  }
  LB_ASSIGN(const auto request, wire::ParseTicket(ticket.ticket()));
  if (const auto* search = std::get_if<SearchRequest>(&request)) {
    return AnswerSearch(*search);
  }
  return StartScan(std::get<ScanRequest>(request));
}

Status GetStream::AnswerSearch(const SearchRequest& request) {
  LB_ASSIGN(const std::vector<engine::QueryResult> results, Search(services(), request, cancellation()));
  encoder_ = std::make_unique<wire::BatchEncoder>(ExplainedSchema(request, results));
  LB_ASSIGN(net::Message schema, encoder_->Schema());
  call().Send(std::move(schema));
  for (const engine::QueryResult& result : results) {
    const auto batch = wire::HitBatch(result.hits, result.vectors, request.include_vectors, result.columns.get());
    LB_ASSIGN(std::vector<net::Message> messages, encoder_->Batch(*batch, PageMetadata(request, result)));
    for (net::Message& one : messages) {
      call().Send(std::move(one));
    }
  }
  End({});
  return {};
}

Status GetStream::StartScan(const ScanRequest& request) {
  LB_ASSIGN(const std::shared_ptr<engine::Collection> collection, services().store.Find(request.collection));
  LB_ASSIGN(cursor_, engine::ScanCursor::Open(collection->shard, request));
  encoder_ = std::make_unique<wire::BatchEncoder>(cursor_->schema());
  LB_ASSIGN(net::Message schema, encoder_->Schema());
  call().Send(std::move(schema));
  scanning_.store(true, std::memory_order_release);
  Pump();
  return {};
}

void GetStream::OnDrain() {
  if (scanning_.load(std::memory_order_acquire) && !ended()) {
    RunOn(services().search_pool, [this] { Pump(); });
  }
}

// One thread pumps at a time; a request that comes meanwhile makes it go round once more.
void GetStream::Pump() {
  if (pump_requests_.fetch_add(1, std::memory_order_acq_rel) > 0) {
    return;
  }
  int seen = 1;
  do {
    const Result<bool> finished = SendSome();
    if (!finished.ok() || *finished) {
      scanning_.store(false, std::memory_order_release);
      return End(finished.status());
    }
    const int now = pump_requests_.load(std::memory_order_acquire);
    if (now == seen && pump_requests_.compare_exchange_strong(seen, 0, std::memory_order_acq_rel)) {
      return;
    }
    seen = pump_requests_.load(std::memory_order_acquire);
  } while (!ended());
}

Result<bool> GetStream::SendSome() {
  while (call().Waiting() < kBatchesWaitingMax) {
    LB_ASSIGN(const std::shared_ptr<arrow::RecordBatch> rows, cursor_->Next(cancellation()));
    if (rows == nullptr) {
      return true;
    }
    std::string page;
    if (cursor_->paged()) {
      LB_ASSIGN(const std::string next, cursor_->PageCursor());
      page = wire::PageJson(next, std::nullopt);
    }
    LB_ASSIGN(std::vector<net::Message> messages, encoder_->Batch(*rows, page));
    for (net::Message& message : messages) {
      call().Send(std::move(message));
    }
    services().metrics.rows_got.Add(static_cast<double>(rows->num_rows()));
  }
  return false;
}

}  // namespace longbow::node
