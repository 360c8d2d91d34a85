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

// Clients take turns: those with a key by their key, others by their connection.
ThreadPool::Flow FlowOf(const access::Caller& caller, const net::Head& head) {
  return std::hash<std::string>()(caller.key != nullptr ? caller.key->id : head.peer);
}

constexpr int kQueueRetryMs = 1'000;

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
      flow_(FlowOf(services.caller, call_->head())),
      cancellation_(DeadlineOf(call_->head())) {}

// Work that has begun goes on: what it holds is freed the sooner.
Status ServiceCall::AdmitByAge(const ThreadPool& pool) {
  const std::chrono::milliseconds most = services_.shared.max_queue_age;
  if (begun_.exchange(true, std::memory_order_relaxed) || most.count() == 0) {
    return {};
  }
  const auto age = std::chrono::duration_cast<std::chrono::milliseconds>(pool.OldestWait(flow_));
  if (age <= most) {
    return {};
  }
  services_.metrics.queue_age_refusals.Add();
  return ResourceExhausted("the node is busy: calls of this client wait since " + std::to_string(age.count()) +
                           " ms, and max_queue_age is " + std::to_string(most.count()) + " ms; retry in " +
                           std::to_string(kQueueRetryMs) + " ms");
}

Status ServiceCall::Submit(ThreadPool& pool, std::function<void()> work) {
  LB_TRY(services_.shared.keys.StillHolds(services_.caller));
  LB_TRY(AdmitByAge(pool));
  return pool.Submit(std::move(work), flow_);
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
