#include "wire/outcome.h"

#include <string>
#include <string_view>

namespace longbow::wire {
namespace {

int HttpStatus(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return 200;
    case StatusCode::kInvalidArgument:
    case StatusCode::kFailedPrecondition:
    case StatusCode::kOutOfRange:
      return 400;
    case StatusCode::kUnauthenticated:
      return 401;
    case StatusCode::kPermissionDenied:
      return 403;
    case StatusCode::kNotFound:
      return 404;
    case StatusCode::kAlreadyExists:
    case StatusCode::kAborted:
      return 409;
    case StatusCode::kResourceExhausted:
      return 429;
    case StatusCode::kCancelled:
      return 499;
    case StatusCode::kUnimplemented:
      return 501;
    case StatusCode::kUnavailable:
      return 503;
    case StatusCode::kDeadlineExceeded:
      return 504;
    case StatusCode::kUnknown:
    case StatusCode::kInternal:
    case StatusCode::kDataLoss:
      break;
  }
  return 500;
}

// Refusals that pass end with "retry in 250 ms"; the number, or nothing.
std::string RetryHintMs(const Status& status) {
  constexpr std::string_view kBefore = "retry in ", kBehind = " ms";
  const std::string_view text = status.message();
  const size_t at = text.rfind(kBefore);
  if (status.code() != StatusCode::kResourceExhausted || at == std::string_view::npos || !text.ends_with(kBehind)) {
    return {};
  }
  const std::string_view digits = text.substr(at + kBefore.size(), text.size() - at - kBefore.size() - kBehind.size());
  return digits.find_first_not_of("0123456789") == std::string_view::npos ? std::string(digits) : std::string();
}

}  // namespace

// Arrow's client makes its exceptions of the plain gRPC code. Its refining trailers (x-arrow-status) are not sent: with
// them it forgets the code, and the same refusal would look different from the transport and from a handler.
net::Outcome ToOutcome(const Status& status) {
  net::Outcome outcome{status, {}, HttpStatus(status.code())};
  if (const std::string hint = RetryHintMs(status); !hint.empty()) {
    outcome.trailers.emplace_back("grpc-retry-pushback-ms", hint);
  }
  return outcome;
}

}  // namespace longbow::wire
