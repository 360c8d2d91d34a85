#include "node/service_call.h"

#include "wire/outcome.h"

namespace longbow::node {
namespace {

std::optional<Cancellation::Clock::time_point> DeadlineOf(const net::Head& head) {
  if (!head.timeout) {
    return std::nullopt;
  }
  return Cancellation::Clock::now() + *head.timeout;
}

}  // namespace

std::string Joined(const net::Message& message) {
  std::string bytes;
  bytes.reserve(TotalSize(message));
  for (const Slice& slice : message) {
    bytes.append(slice.view());
  }
  return bytes;
}

ServiceCall::ServiceCall(std::shared_ptr<net::Call> call, const Services& services, const std::string& action)
    : call_(std::move(call)),
      services_(services),
      metrics_(services.metrics.For(action)),
      cancellation_(DeadlineOf(call_->head())) {}

Status ServiceCall::Submit(ThreadPool& pool, std::function<void()> work) {
  LB_TRY(services_.shared.keys.StillHolds(services_.caller));
  return pool.Submit(std::move(work));
}

void ServiceCall::RunOn(ThreadPool& pool, std::function<void()> work) {
  const Status submitted = Submit(pool, [self = shared_from_this(), work = std::move(work)] {
    if (!self->ended()) {
      work();
    }
  });
  if (!submitted.ok()) {
    End(submitted);
  }
}

void ServiceCall::End(const Status& status) {
  if (ended_.exchange(true, std::memory_order_acq_rel)) {
    return;
  }
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started_;
  metrics_.seconds.Observe(took.count());
  (status.ok() ? metrics_.ok : metrics_.failed).Add();
  (status.ok() ? metrics_.ok_alias : metrics_.failed_alias).Add();
  if (status.code() == StatusCode::kUnauthenticated) {
    services_.metrics.unauthenticated.Add();
  } else if (status.code() == StatusCode::kPermissionDenied) {
    services_.metrics.permission_denied.Add();
  }
  if (status.code() == StatusCode::kInternal || status.code() == StatusCode::kDataLoss) {
    services_.logger.Error("call failed",
                           {{"path", call_->head().path}, {"peer", call_->head().peer}, {"status", status.ToString()}});
  }
  call_->Finish(wire::ToOutcome(status));
  if (status.code() == StatusCode::kUnavailable) {
    services_.watchers.Notify();
  }
}

void ServiceCall::OnClose(StatusCode code) {
  cancellation_.Cancel();
  if (code != StatusCode::kOk) {
    End({code, code == StatusCode::kDeadlineExceeded ? "Deadline exceeded" : "the client closed the call"});
  }
}

UnaryCall::UnaryCall(std::shared_ptr<net::Call> call, const Services& services, const std::string& action,
                     ThreadPool& pool, Work work)
    : ServiceCall(std::move(call), services, action), pool_(pool), work_(std::move(work)) {}

void UnaryCall::OnMessage(net::Message message) {
  got_request_ = true;
  RunOn(pool_,
        [this, message = std::move(message)] { End(work_(services(), call(), Joined(message), cancellation())); });
}

void UnaryCall::OnEnd() {
  if (!got_request_) {
    End(InvalidArgument("the call ended without a request"));
  }
}

}  // namespace longbow::node
