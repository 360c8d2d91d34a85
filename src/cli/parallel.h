// One loop over numbered pieces of work, on several threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/status.h"

namespace longbow::cli {

// Calls work(i) for every i in [0, n), each once, from `threads` threads (the caller's own if 1). Stops handing out
// numbers after the first error and returns it. `work` is called concurrently.
Status RunInParallel(uint32_t threads, size_t n, const std::function<Status(size_t)>& work);

}  // namespace longbow::cli
