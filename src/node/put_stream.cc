#include "node/put_stream.h"

#include <arrow/api.h>

#include "base/limits.h"

namespace longbow::node {

// ---- IngestStream ------------------------------------------------------------------------------------------------

Result<bool> IngestStream::Feed(const wire::FlightData& data, const std::shared_ptr<void>& owner,
                                const Cancellation* cancellation) {
  LB_ASSIGN(std::optional<RowBatch> batch, decoder_.Feed(data));
  if (!batch) {
    return true;
  }
  Put(++batches_, std::move(*batch), owner, cancellation);
  std::lock_guard lock(mu_);
  waiting_for_room_ = unacknowledged_bytes_ > services_.stream_unacknowledged_max_bytes ||
                      unacknowledged_batches_ > limits::kStreamUnacknowledgedMax;
  return !waiting_for_room_;
}

Status IngestStream::Finish(const std::shared_ptr<void>& owner, const Cancellation* cancellation) {
  if (decoder_.schema() == nullptr) {
    return InvalidArgument("the stream ended before a schema came");
  }
  if (batches_ == 0) {
    LB_TRY(PutEmpty(owner, cancellation));
  }
  std::lock_guard lock(mu_);
  finished_ = true;
  return {};
}

Status IngestStream::PutEmpty(const std::shared_ptr<void>& owner, const Cancellation* cancellation) {
  auto rows = arrow::RecordBatch::MakeEmpty(decoder_.schema());
  if (!rows.ok()) {
    return InvalidArgument("schema without a possible batch: " + rows.status().message());
  }
  LB_ASSIGN(RowBatch batch, wire::EncodeRows(*rows));
  Put(0, std::move(batch), owner, cancellation);
  return {};
}

void IngestStream::Put(uint64_t number, RowBatch batch, const std::shared_ptr<void>& owner,
                       const Cancellation* cancellation) {
  const size_t size_bytes = TotalSize(batch.encoded);
  const int64_t rows = batch.rows->num_rows();
  {
    std::lock_guard lock(mu_);
    unacknowledged_bytes_ += size_bytes;
    ++unacknowledged_batches_;
  }
  services_.metrics.put_payload_size_bytes.Observe(static_cast<double>(size_bytes));
  services_.store.Put(dataset_, std::move(batch), cancellation, [this, owner, size_bytes, rows, number](Status status) {
    if (status.ok()) {
      services_.metrics.rows_put.Add(static_cast<double>(rows));
    }
    // Answered before it is counted: once nothing is counted the call may end.
    on_ack_({number, rows, std::move(status)});
    {
      std::lock_guard lock(mu_);
      unacknowledged_bytes_ -= size_bytes;
      --unacknowledged_batches_;
    }
    on_settled_();
  });
}

bool IngestStream::TakeRoom() {
  std::lock_guard lock(mu_);
  if (!waiting_for_room_ || unacknowledged_bytes_ > services_.stream_unacknowledged_max_bytes / 2 ||
      unacknowledged_batches_ > limits::kStreamUnacknowledgedMax / 2) {
    return false;
  }
  waiting_for_room_ = false;
  return true;
}

bool IngestStream::done() const {
  std::lock_guard lock(mu_);
  return finished_ && unacknowledged_batches_ == 0;
}

// ---- PutStream ---------------------------------------------------------------------------------------------------

PutStream::PutStream(std::shared_ptr<net::Call> call, const Services& given)
    : ServiceCall(std::move(call), given, "do_put"),
      ingest_(
          services(), [this](const IngestStream::Ack& ack) { OnAck(ack); }, [this] { OnSettled(); }) {}

void PutStream::OnMessage(net::Message message) {
  RunOn(services().write_pool, [this, message = std::move(message)] {
    if (Status status = Handle(message); !status.ok()) {
      End(status);
    }
  });
}

Status PutStream::Handle(const net::Message& message) {
  LB_ASSIGN(const wire::FlightData data, wire::ParseFlightData(message));
  if (ingest_.dataset().empty()) {
    if (!data.descriptor || data.descriptor->path.empty() || data.descriptor->path.front().empty()) {
      return InvalidArgument(
          "missing flight descriptor path: put needs FlightDescriptor.for_path(<dataset>) in the first message");
    }
    ingest_.SetDataset(data.descriptor->path.front());
    // Before rows are decoded for somebody who may not put them.
    LB_TRY(services().store.MayUse(ingest_.dataset(), access::Right::kWrite));
  }
  LB_ASSIGN(const bool read_on, ingest_.Feed(data, shared_from_this(), cancellation()));
  if (read_on) {
    call().Read();
  }
  return {};
}

void PutStream::OnAck(const IngestStream::Ack& ack) {
  if (!ack.status.ok()) {
    End(ack.status);
  }
}

void PutStream::OnSettled() {
  if (ingest_.TakeRoom()) {
    call().Read();
  }
  if (ingest_.done()) {
    End({});
  }
}

void PutStream::OnEnd() {
  RunOn(services().write_pool, [this] {
    if (Status status = ingest_.Finish(shared_from_this(), cancellation()); !status.ok()) {
      return End(status);
    }
    if (ingest_.done()) {
      End({});
    }
  });
}

}  // namespace longbow::node
