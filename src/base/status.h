// Errors as values: Status and Result<T>. No exception crosses a folder.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>

namespace longbow {

// The numbers are gRPC's, so that a code travels unchanged to every border (wire/status_map.h adds HTTP).
enum class StatusCode : uint8_t {
  kOk = 0,
  kCancelled = 1,           // the caller went away; nobody's fault
  kUnknown = 2,             // never made by us; what a foreign peer may say
  kInvalidArgument = 3,     // caller's fault: the request is wrong in any state. Do not retry
  kDeadlineExceeded = 4,    // too late; a write may or may not have happened. Retry with a longer deadline
  kNotFound = 5,            // the named thing does not exist
  kAlreadyExists = 6,       // the named thing exists already
  kPermissionDenied = 7,    // known caller, not allowed
  kResourceExhausted = 8,   // a limit was reached and nothing was changed. Retry later, or send less
  kFailedPrecondition = 9,  // right request, wrong state. Fix the state first
  kAborted = 10,            // lost against a concurrent change. Retry the whole step
  kOutOfRange = 11,         // past a valid end
  kUnimplemented = 12,      // not offered by this version
  kInternal = 13,           // our fault: a bug
  kUnavailable = 14,        // stopping, starting or read-only. Retry elsewhere or later
  kDataLoss = 15,           // stored bytes are damaged. Do not retry: see the message for what to do
  kUnauthenticated = 16,    // no or wrong credentials
};

std::string_view StatusCodeName(StatusCode code);

// A code and a message; copying is cheap. Thread safe as a value.
class [[nodiscard]] Status {
 public:
  Status() = default;  // OK
  Status(StatusCode code, std::string message)
      : code_(code),
        message_(code == StatusCode::kOk ? nullptr : std::make_shared<const std::string>(std::move(message))) {}

  bool ok() const { return code_ == StatusCode::kOk; }
  StatusCode code() const { return code_; }
  std::string_view message() const { return message_ ? std::string_view(*message_) : std::string_view(); }
  // "NOT_FOUND: dataset x not found", for logs.
  std::string ToString() const;

 private:
  StatusCode code_ = StatusCode::kOk;
  std::shared_ptr<const std::string> message_;
};

inline Status InvalidArgument(std::string message) { return {StatusCode::kInvalidArgument, std::move(message)}; }
inline Status NotFound(std::string message) { return {StatusCode::kNotFound, std::move(message)}; }
inline Status AlreadyExists(std::string message) { return {StatusCode::kAlreadyExists, std::move(message)}; }
inline Status ResourceExhausted(std::string message) { return {StatusCode::kResourceExhausted, std::move(message)}; }
inline Status FailedPrecondition(std::string message) { return {StatusCode::kFailedPrecondition, std::move(message)}; }
inline Status Unimplemented(std::string message) { return {StatusCode::kUnimplemented, std::move(message)}; }
inline Status Internal(std::string message) { return {StatusCode::kInternal, std::move(message)}; }
inline Status Unavailable(std::string message) { return {StatusCode::kUnavailable, std::move(message)}; }
inline Status DataLoss(std::string message) { return {StatusCode::kDataLoss, std::move(message)}; }
inline Status Cancelled(std::string message) { return {StatusCode::kCancelled, std::move(message)}; }
inline Status DeadlineExceeded(std::string message) { return {StatusCode::kDeadlineExceeded, std::move(message)}; }

// A value or the reason why there is none. Reading the value of an error is a bug (std::bad_variant_access).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}         // NOLINT: implicit on purpose
  Result(Status status) : state_(std::in_place_index<1>, std::move(status)) {}  // NOLINT: implicit on purpose

  bool ok() const { return state_.index() == 0; }
  Status status() const { return ok() ? Status() : std::get<1>(state_); }
  T& value() & { return std::get<0>(state_); }
  const T& value() const& { return std::get<0>(state_); }
  T&& value() && { return std::get<0>(std::move(state_)); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }

 private:
  std::variant<T, Status> state_;
};

}  // namespace longbow

// LB_TRY(expr): returns from the enclosing function if the Status is an error.
#define LB_TRY(expr)                                             \
  do {                                                           \
    if (::longbow::Status lb_status = (expr); !lb_status.ok()) { \
      return lb_status;                                          \
    }                                                            \
  } while (false)

#define LB_CONCAT_INNER(a, b) a##b
#define LB_CONCAT(a, b) LB_CONCAT_INNER(a, b)

// LB_ASSIGN(auto x, expr): x is the value of the Result, or the enclosing function returns its Status.
#define LB_ASSIGN(decl, expr) LB_ASSIGN_INNER(LB_CONCAT(lb_result_, __LINE__), decl, expr)
#define LB_ASSIGN_INNER(tmp, decl, expr) \
  auto tmp = (expr);                     \
  if (!tmp.ok()) {                       \
    return tmp.status();                 \
  }                                      \
  decl = std::move(tmp).value()
