// DoGet: a scan or a search, streamed as record batches.
#pragma once

#include <atomic>
#include <memory>

#include "engine/scan.h"
#include "model/query.h"
#include "node/searching.h"
#include "node/service_call.h"
#include "wire/flight_data.h"

namespace longbow::node {

// Scans are pumped: a few batches are queued, and the transport's drain asks for the next, so that a slow client holds
// no more memory than those.
class GetStream final : public ServiceCall {
 public:
  GetStream(std::shared_ptr<net::Call> call, const Services& services)
      : ServiceCall(std::move(call), services, "do_get") {}

  void OnMessage(net::Message message) override;
  void OnEnd() override;
  void OnDrain() override;

 private:
  Status Answer(const net::Message& message);
  Status AnswerSearch(const SearchRequest& request);
  Status StartScan(const ScanRequest& request);
  // Sends batches until enough of them wait; true at the end of the scan.
  Result<bool> SendSome();
  void Pump();

  bool got_ticket_ = false;                      // transport callbacks only
  std::unique_ptr<engine::ScanCursor> cursor_;   // of whoever holds pumping_
  std::unique_ptr<wire::BatchEncoder> encoder_;  // likewise
  std::atomic<bool> scanning_{false};
  std::atomic<int> pump_requests_{0};
};

}  // namespace longbow::node
