#include "net/door_call.h"

#include <atomic>
#include <string_view>
#include <utility>
#include <vector>

#include "net/header_coding.h"

namespace longbow::net {
namespace {

// Leaves room for other trailers within the 8 KiB that the strictest common clients accept.
constexpr size_t kGrpcMessageMaxBytes = 4096;

std::string_view View(door_slice slice) { return {reinterpret_cast<const char*>(slice.data), slice.size}; }

door_slice AsSlice(std::string_view text) { return {reinterpret_cast<const uint8_t*>(text.data()), text.size()}; }

door_header AsHeader(std::string_view name, std::string_view value) { return {AsSlice(name), AsSlice(value)}; }

void AppendHeaders(const Headers& from, std::vector<door_header>& to) {
  for (const auto& [name, value] : from) {
    to.push_back(AsHeader(name, value));
  }
}

bool Contains(const Headers& headers, std::string_view name) {
  for (const auto& header : headers) {
    if (header.first == name) {
      return true;
    }
  }
  return false;
}

// A frame that came from the network, kept without a copy.
struct KeptBytes {
  KeptBytes(const door_bytes* shown, std::shared_ptr<ReceiveBudget> budget, size_t size_bytes)
      : bytes(door_bytes_keep(shown)), charge(std::move(budget), size_bytes) {}
  ~KeptBytes() { door_bytes_free(bytes); }
  KeptBytes(const KeptBytes&) = delete;
  KeptBytes& operator=(const KeptBytes&) = delete;

  door_bytes* const bytes;
  const Charge charge;
};

// A message on its way out: its pieces stay alive until the transport has sent or dropped it.
struct Outgoing {
  ~Outgoing() { passed.load(std::memory_order_acquire); }

  uint8_t prefix[MessageAssembler::kPrefixSizeBytes] = {};
  Message pieces;
  // The sending thread's writes happen before the releasing thread's. The transport's lock says the same, but where
  // ThreadSanitizer cannot see it.
  std::atomic<bool> passed{false};
};

// Passes ownership of `outgoing` to the transport.
size_t Pass(const door_call* call, const door_head* head, std::unique_ptr<Outgoing> outgoing, bool with_prefix,
            const door_end* end) {
  std::vector<door_slice> slices;
  slices.reserve(outgoing->pieces.size() + 1);
  if (with_prefix) {
    slices.push_back({outgoing->prefix, sizeof outgoing->prefix});
  }
  for (const Slice& piece : outgoing->pieces) {
    slices.push_back({piece.data(), piece.size()});
  }
  outgoing->passed.store(true, std::memory_order_release);
  const door_message message{slices.data(), slices.size(), outgoing.release(),
                             [](void* owner) { std::unique_ptr<Outgoing>(static_cast<Outgoing*>(owner)).reset(); }};
  return door_call_send(call, head, &message, end);
}

}  // namespace

DoorCall::DoorCall(door_call* call, const door_request& request, size_t message_max_bytes,
                   std::shared_ptr<ReceiveBudget> budget, std::atomic<size_t>& calls_open)
    : call_(call),
      budget_(std::move(budget)),
      calls_open_(calls_open),
      head_([&request] {
        Head head;
        head.method = View(request.method);
        head.path = View(request.path);
        head.peer = (View(request.peer).starts_with('[') ? "ipv6:" : "ipv4:") + std::string(View(request.peer));
        head.peer_cert_der = View(request.peer_cert);
        head.tls = request.tls != 0;
        head.headers.reserve(request.header_count);
        for (size_t i = 0; i < request.header_count; ++i) {
          head.headers.emplace_back(View(request.headers[i].name), View(request.headers[i].value));
        }
        head.authority = request.authority.size > 0 ? View(request.authority) : head.Get("host");
        head.grpc = IsGrpcContentType(head.Get("content-type")) && request.http2 != 0;
        head.timeout = ParseGrpcTimeout(head.Get("grpc-timeout"));
        return head;
      }()),
      assembler_(head_.grpc ? MessageAssembler::Framing::kGrpc : MessageAssembler::Framing::kWholeBody,
                 message_max_bytes, budget_) {
  calls_open_.fetch_add(1, std::memory_order_relaxed);
  if (head_.timeout) {
    door_call_deadline(call_, static_cast<uint64_t>(head_.timeout->count()));
  }
}

void DoorCall::Begin(const HandlerFactory& factory) {
  self_ = shared_from_this();
  if (!head_.grpc && IsGrpcContentType(head_.Get("content-type"))) {
    return Finish(Outcome{Unimplemented("gRPC needs HTTP/2"), {}, 505});
  }
  if (head_.grpc && head_.method != "POST") {
    const auto status = Unimplemented("gRPC calls use POST, got " + head_.method);
    head_.grpc = false;
    return Finish(Outcome{status, {}, 405});
  }
  handler_ = factory(self_);
  if (handler_ == nullptr) {
    Finish(head_.grpc ? Unimplemented("unknown method " + head_.path) : NotFound("nothing at " + head_.path));
  }
}

void DoorCall::AddHeader(std::string name, std::string value) {
  MutexLock lock(mu_);
  answer_headers_.emplace_back(std::move(name), std::move(value));
}

size_t DoorCall::Send(Message message) {
  MutexLock lock(mu_);
  if (finished_) {
    return 0;
  }
  if (head_.grpc) {
    return SendGrpc(std::move(message));
  }
  body_.insert(body_.end(), std::make_move_iterator(message.begin()), std::make_move_iterator(message.end()));
  return 0;
}

size_t DoorCall::SendGrpc(Message message) {
  auto outgoing = std::make_unique<Outgoing>();
  outgoing->pieces = std::move(message);
  const size_t size = TotalSize(outgoing->pieces);
  for (size_t i = 0; i < 4; ++i) {
    outgoing->prefix[1 + i] = static_cast<uint8_t>(size >> (24 - 8 * i));
  }
  std::vector<door_header> headers;
  door_head head{200, nullptr, 0};
  if (!head_sent_) {
    headers = {AsHeader("content-type", "application/grpc"), AsHeader("grpc-accept-encoding", "identity")};
    AppendHeaders(answer_headers_, headers);
    head.headers = headers.data();
    head.header_count = headers.size();
  }
  return Pass(call_, std::exchange(head_sent_, true) ? nullptr : &head, std::move(outgoing), true, nullptr);
}

void DoorCall::Finish(Outcome outcome) {
  MutexLock lock(mu_);
  if (std::exchange(finished_, true)) {
    return;
  }
  if (head_.grpc) {
    FinishGrpc(outcome);
  } else {
    FinishPlain(outcome);
  }
}

void DoorCall::FinishGrpc(const Outcome& outcome) {
  const std::string code = std::to_string(static_cast<int>(outcome.status.code()));
  const std::string text = PercentEncode(outcome.status.message(), kGrpcMessageMaxBytes);
  Headers coded;
  for (const auto& [name, value] : outcome.trailers) {
    coded.emplace_back(name, name.ends_with("-bin") ? Base64Encode(value) : value);
  }
  std::vector<door_header> headers;
  if (!head_sent_) {
    headers.push_back(AsHeader("content-type", "application/grpc"));
    headers.push_back(AsHeader("grpc-accept-encoding", "identity"));
    AppendHeaders(answer_headers_, headers);
  }
  headers.push_back(AsHeader("grpc-status", code));
  if (!text.empty()) {
    headers.push_back(AsHeader("grpc-message", text));
  }
  AppendHeaders(coded, headers);
  if (std::exchange(head_sent_, true)) {
    const door_end end{headers.data(), headers.size()};
    door_call_send(call_, nullptr, nullptr, &end);
  } else {  // "trailers-only": one header block is the whole answer
    const door_head head{200, headers.data(), headers.size()};
    const door_end end{nullptr, 0};
    door_call_send(call_, &head, nullptr, &end);
  }
}

void DoorCall::FinishPlain(const Outcome& outcome) {
  const bool explain = body_.empty() && !outcome.status.ok() && !outcome.status.message().empty();
  if (explain) {
    body_.push_back(Slice::Own(std::string(outcome.status.message()) + "\n"));
  }
  const int status = outcome.http_status != 0 ? outcome.http_status : HttpStatusOf(outcome.status.code());
  const std::string length = std::to_string(TotalSize(body_));
  std::vector<door_header> headers{AsHeader("content-length", length)};
  if (explain && !Contains(answer_headers_, "content-type")) {
    headers.push_back(AsHeader("content-type", "text/plain; charset=utf-8"));
  }
  AppendHeaders(answer_headers_, headers);
  AppendHeaders(outcome.trailers, headers);
  const door_head head{static_cast<uint16_t>(status), headers.data(), headers.size()};
  const door_end end{nullptr, 0};
  head_sent_ = true;
  if (length == "0") {
    door_call_send(call_, &head, nullptr, &end);
    return;
  }
  auto outgoing = std::make_unique<Outgoing>();
  outgoing->pieces = std::move(body_);
  Pass(call_, &head, std::move(outgoing), false, &end);
}

int DoorCall::OnRead() {
  // Between two messages a call that already got one can wait for memory without harm; in the middle of one it cannot,
  // because the memory it waits for may be held by others that wait as well.
  if (message_delivered_ && assembler_.AtBoundary() && budget_->full()) {
    budget_->Await(weak_from_this());
    return DOOR_SATISFIED;
  }
  return Deliver();
}

int DoorCall::OnData(const uint8_t* data, size_t size, const door_bytes* bytes) {
  if (budget_->full()) {
    return Fail(ResourceExhausted("requests in progress hold " + std::to_string(budget_->held()) + " bytes, limit " +
                                  std::to_string(budget_->bytes_max()) + ": retry later"));
  }
  if (size < MessageAssembler::kCopyBelowBytes) {
    assembler_.AppendCopy({data, size});
  } else {
    assembler_.Append(Slice(data, size, std::make_shared<KeptBytes>(bytes, budget_, size)));
  }
  return Deliver();
}

void DoorCall::OnEnd() {
  assembler_.End();
  Deliver();
}

int DoorCall::Deliver() {
  if (handler_ == nullptr || end_delivered_) {
    return DOOR_SATISFIED;
  }
  auto taken = assembler_.Take();
  if (!taken.ok()) {
    return Fail(taken.status());
  }
  if (taken->has_value()) {
    message_delivered_ = true;
    handler_->OnMessage(std::move(**taken));
    return DOOR_SATISFIED;
  }
  if (!assembler_.AtEnd()) {
    return DOOR_WANTS_BYTES;
  }
  end_delivered_ = true;
  handler_->OnEnd();
  return DOOR_SATISFIED;
}

int DoorCall::Fail(Status status) {
  end_delivered_ = true;
  Finish(std::move(status));
  return DOOR_SATISFIED;
}

void DoorCall::OnDrain() {
  if (handler_ != nullptr) {
    handler_->OnDrain();
  }
}

// What waits for the peer's window would hide the status behind it, so it is dropped; an end that waits as well,
// because it would call an answer complete that is not.
void DoorCall::OnDeadline() {
  late_ = true;
  door_call_discard(call_);
  const Outcome outcome{DeadlineExceeded("Deadline Exceeded"), {}, 0};
  MutexLock lock(mu_);
  finished_ = true;
  if (head_.grpc) {
    FinishGrpc(outcome);
  } else {
    body_.clear();
    FinishPlain(outcome);
  }
}

void DoorCall::OnClose(int why) {
  const auto self = std::move(self_);
  const auto handler = std::move(handler_);
  {
    MutexLock lock(mu_);
    finished_ = true;
    body_.clear();
  }
  if (handler != nullptr) {
    handler->OnClose(late_                  ? StatusCode::kDeadlineExceeded
                     : why == DOOR_COMPLETE ? StatusCode::kOk
                                            : StatusCode::kCancelled);
  }
  calls_open_.fetch_sub(1, std::memory_order_release);
}

}  // namespace longbow::net
