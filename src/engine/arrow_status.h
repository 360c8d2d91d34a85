// Arrow's Status and Result -> ours.
#pragma once

#include <arrow/result.h>
#include <arrow/status.h>

#include "base/status.h"

namespace longbow::engine {

// Only for calls on data that was validated when it came in: whatever fails then is not the caller's fault.
inline Status FromArrow(const arrow::Status& status) {
  if (status.ok()) {
    return {};
  }
  return {status.IsOutOfMemory() ? StatusCode::kResourceExhausted : StatusCode::kInternal,
          "Arrow: " + status.ToString()};
}

}  // namespace longbow::engine

#define LB_TRY_ARROW(expr) LB_TRY(::longbow::engine::FromArrow(expr))

#define LB_ASSIGN_ARROW(decl, expr) LB_ASSIGN_ARROW_INNER(LB_CONCAT(arrow_result_, __LINE__), decl, expr)
#define LB_ASSIGN_ARROW_INNER(tmp, decl, expr)         \
  auto tmp = (expr);                                   \
  if (!tmp.ok()) {                                     \
    return ::longbow::engine::FromArrow(tmp.status()); \
  }                                                    \
  decl = std::move(tmp).ValueUnsafe()
