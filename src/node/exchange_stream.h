// DoExchange: the first message's descriptor chooses between binary search and acknowledged ingest.
#pragma once

#include <atomic>
#include <memory>
#include <mutex>
#include <vector>

#include "node/put_stream.h"
#include "node/search_exchange.h"
#include "node/service_call.h"
#include "node/verbs.h"
#include "wire/flight_data.h"

namespace longbow::node {

std::vector<Verb> ExchangeVerbs();

// cmd `VectorSearch` or {"search": {...}}: see search_exchange.h. path ["ingest", dataset]: each batch is answered by
// {"batch_id":n,"rows":n,"status":"acked"} once durable and visible.
class ExchangeStream final : public ServiceCall {
 public:
  ExchangeStream(std::shared_ptr<net::Call> call, const Services& given);

  void OnMessage(net::Message message) override;
  void OnEnd() override;
  void OnDrain() override;

 private:
  enum class Mode { kUnknown, kSearch, kIngest };

  Status Handle(const net::Message& message);
  Status ChooseMode(const wire::FlightData& first);
  Status HandleSearch(const wire::FlightData& data);
  void ReadOn();
  void OnAck(const IngestStream::Ack& ack);
  void OnSettled();

  Mode mode_ = Mode::kUnknown;              // whoever handles the one message read
  std::unique_ptr<SearchExchange> search_;  // set with the mode
  std::atomic<bool> is_search_{false};      // the same, for other threads
  std::mutex flow_mu_;
  size_t in_flight_ = 0;      // guarded by flow_mu_, as the next two: batches of queries
  bool reading_ = true;       // the next message was asked for
  bool half_closed_ = false;  // there is none
  IngestStream ingest_;
};

}  // namespace longbow::node
