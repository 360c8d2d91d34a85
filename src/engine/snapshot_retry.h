// What snapshots and restores do when the place of the snapshots fails.
#pragma once

#include "base/cancellation.h"
#include "base/status.h"

namespace longbow::engine {

// Runs something up to three times, as long as it ends with UNAVAILABLE. Each request of it was tried several times by
// the target already; this is for what no request by itself can repeat, such as an upload in parts. CANCELLED between
// two of them.
template <typename Run>
Status RetryUnavailable(const Cancellation* cancellation, Run run) {
  constexpr int kTries = 3;
  for (int tries = 1;; ++tries) {
    const Status status = run();
    if (status.code() != StatusCode::kUnavailable || tries == kTries) {
      return status;
    }
    if (IsCancelled(cancellation)) {
      return Cancelled("work on snapshots was cancelled");
    }
  }
}

}  // namespace longbow::engine
