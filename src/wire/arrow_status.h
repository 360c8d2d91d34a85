// Arrow's errors as ours.
#pragma once

#include <string>

#include <arrow/status.h>

#include "base/status.h"

namespace longbow::wire {

// For work on bytes from outside: what Arrow cannot read is the sender's fault; no memory is RESOURCE_EXHAUSTED.
inline Status FromReading(const arrow::Status& status) {
  if (status.ok()) {
    return {};
  }
  return status.IsOutOfMemory() ? ResourceExhausted(status.message())
                                : InvalidArgument("invalid Arrow data: " + status.message());
}

// For work on our own data: a failure is a bug, but for a lack of memory.
inline Status FromWriting(const arrow::Status& status) {
  if (status.ok()) {
    return {};
  }
  return status.IsOutOfMemory() ? ResourceExhausted(status.message())
                                : Internal("cannot encode Arrow data: " + status.ToString());
}

}  // namespace longbow::wire
