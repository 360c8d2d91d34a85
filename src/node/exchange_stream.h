// DoExchange: the first message's descriptor chooses between binary search and acknowledged ingest.
#pragma once

#include <memory>
#include <string>

#include "node/put_stream.h"
#include "node/searching.h"
#include "node/service_call.h"
#include "node/verbs.h"
#include "wire/flight_data.h"

namespace longbow::node {

std::vector<Verb> ExchangeVerbs();

// cmd `VectorSearch`: batches with `dataset`, `k`, `ef`, `query_vector`; each row is one query and gets one batch of
// hits. path ["ingest", dataset]: each batch is answered by {"batch_id":n,"rows":n,"status":"acked"} once durable and
// visible.
class ExchangeStream final : public ServiceCall {
 public:
  ExchangeStream(std::shared_ptr<net::Call> call, const Services& given);

  void OnMessage(net::Message message) override;
  void OnEnd() override;

 private:
  enum class Mode { kUnknown, kSearch, kIngest };

  Status Handle(const net::Message& message);
  Status ChooseMode(const wire::FlightData& first);
  Status HandleSearch(const wire::FlightData& data);
  void OnAck(const IngestStream::Ack& ack);
  void OnSettled();

  Mode mode_ = Mode::kUnknown;                   // whoever handles the one message read
  wire::BatchDecoder queries_;                   // likewise
  std::unique_ptr<wire::BatchEncoder> answers_;  // likewise
  bool searched_ = false;                        // likewise
  IngestStream ingest_;
};

}  // namespace longbow::node
