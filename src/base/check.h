// LB_CHECK: an invariant whose breach means a bug of ours. It stays in release builds and stops the process, because
// going on with a broken invariant damages data. What a client or a disk can cause is a Status, never a check.
#pragma once

namespace longbow {

// Prints the place and the condition on stderr and aborts.
[[noreturn]] void CheckFailed(const char* file, int line, const char* condition);

}  // namespace longbow

#define LB_CHECK(condition) \
  ((condition) ? static_cast<void>(0) : ::longbow::CheckFailed(__FILE__, __LINE__, #condition))
