#include "wire/outcome.h"

#include <arrow/status.h>

#include <optional>

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

// Arrow's client makes the right exception of most gRPC codes by itself. RESOURCE_EXHAUSTED it takes for a wrong request
// (ArrowInvalid), although the same request may succeed later; OUT_OF_RANGE likewise.
std::optional<arrow::StatusCode> Refinement(StatusCode code) {
  switch (code) {
    case StatusCode::kResourceExhausted:
      return arrow::StatusCode::CapacityError;
    case StatusCode::kOutOfRange:
      return arrow::StatusCode::IndexError;
    default:
      return std::nullopt;
  }
}

}  // namespace

net::Outcome ToOutcome(const Status& status) {
  net::Outcome outcome;
  outcome.status = status;
  outcome.http_status = HttpStatus(status.code());
  if (const auto refinement = Refinement(status.code())) {
    outcome.trailers.emplace_back("x-arrow-status", std::to_string(static_cast<int>(*refinement)));
    outcome.trailers.emplace_back("x-arrow-status-message-bin", std::string(status.message()));
  }
  return outcome;
}

}  // namespace longbow::wire
