// DoPut: a stream of batches into one dataset; OK means every row is durable and visible.
#pragma once

#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "node/service_call.h"
#include "wire/flight_data.h"

namespace longbow::node {

// Batches of one stream on their way into the store, in order, with a bound on the bytes that are not yet acknowledged.
// Used by DoPut and by DoExchange ingest; the owner reads the next message when Feed or an acknowledgement says so.
class IngestStream {
 public:
  struct Ack {
    uint64_t batch = 0;  // from 1; 0: no batch came, the dataset was created
    int64_t rows = 0;
    Status status;
  };
  // Runs when a batch is durable and visible, or failed; on another thread, in batch order.
  using OnAck = std::function<void(const Ack&)>;

  // Runs after it, when room and done() count the batch as acknowledged.
  using OnSettled = std::function<void()>;

  IngestStream(Services& services, OnAck on_ack, OnSettled on_settled)
      : services_(services),
        on_ack_(std::move(on_ack)),
        on_settled_(std::move(on_settled)),
        decoder_(services.receive_cache) {}

  void SetDataset(std::string name) { dataset_ = std::move(name); }
  const std::string& dataset() const { return dataset_; }
  // One message: decodes, checks and hands a batch to the store. `owner` lives until the acknowledgement.
  // True if the next message may be read now; else the acknowledgement that makes room returns true from TakeRoom.
  Result<bool> Feed(const wire::FlightData& data, const std::shared_ptr<void>& owner, const Cancellation* cancellation);
  // The client has sent its last message. A stream with a schema and no batch creates its dataset all the same; one
  // without a schema is INVALID_ARGUMENT.
  Status Finish(const std::shared_ptr<void>& owner, const Cancellation* cancellation);
  // True once after Feed returned false, when enough was acknowledged.
  bool TakeRoom();
  // Finish succeeded and every batch was answered: the call may end.
  bool done() const;

 private:
  Status PutEmpty(const std::shared_ptr<void>& owner, const Cancellation* cancellation);
  void Put(uint64_t number, RowBatch batch, const std::shared_ptr<void>& owner, const Cancellation* cancellation);

  Services& services_;
  const OnAck on_ack_;
  const OnSettled on_settled_;
  std::string dataset_;
  wire::BatchDecoder decoder_;
  uint64_t batches_ = 0;

  mutable std::mutex mu_;
  size_t unacknowledged_bytes_ = 0;    // guarded by mu_
  size_t unacknowledged_batches_ = 0;  // guarded by mu_
  bool waiting_for_room_ = false;      // guarded by mu_
  bool finished_ = false;              // guarded by mu_: the client has sent its last message
};

class PutStream final : public ServiceCall {
 public:
  PutStream(std::shared_ptr<net::Call> call, const Services& given);

  void OnMessage(net::Message message) override;
  void OnEnd() override;

 private:
  Status Handle(const net::Message& message);
  void OnAck(const IngestStream::Ack& ack);
  void OnSettled();

  IngestStream ingest_;
};

}  // namespace longbow::node
