#include "wire/outcome.h"

namespace longbow::wire {
namespace {

int HttpStatusOf(StatusCode code) {
  switch (code) {
    case StatusCode::kOk:
      return 200;
    case StatusCode::kInvalidArgument:
    case StatusCode::kOutOfRange:
    case StatusCode::kFailedPrecondition:
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

// Arrow's own code where its client would turn the gRPC code into something less telling: arrow/status.h, IOError = 5 for
// damaged data (else FlightServerError), AlreadyExists = 45 (else a plain ArrowException).
const char* ArrowCodeOf(StatusCode code) {
  switch (code) {
    case StatusCode::kDataLoss:
      return "5";
    case StatusCode::kAlreadyExists:
      return "45";
    default:
      return nullptr;
  }
}

}  // namespace

net::Outcome ToOutcome(const Status& status) {
  net::Outcome outcome{status, {}, HttpStatusOf(status.code())};
  if (const char* arrow_code = ArrowCodeOf(status.code())) {
    outcome.trailers.emplace_back("x-arrow-status", arrow_code);
    outcome.trailers.emplace_back("x-arrow-status-message-bin", std::string(status.message()));
  }
  return outcome;
}

}  // namespace longbow::wire
