// Work in the background that leaves a share of its core to others.
#pragma once

#include <cstdint>

#include "base/cancellation.h"

namespace longbow {

// For one thread: called between pieces of its work, it sleeps so long that the thread has worked for `percent` of the
// time at most. A low priority gives way to threads that are ready to run; this gives way to those that are not, such
// as a search that is waiting for the memory bus or the disk.
class CpuPacer {
 public:
  // 1 to 100; 100 never sleeps.
  explicit CpuPacer(uint32_t percent);

  // Returns early once cancelled.
  void Rest(const Cancellation* cancellation);

 private:
  const uint32_t percent_;
  int64_t worked_ns_;  // CPU time of the thread when it last rested
};

// The calling thread gets about a tenth of the share of one that was left as it is, where both want a core. Linux keeps
// a nice value per thread; failing to raise it costs fairness only.
void LowerThreadPriority();

}  // namespace longbow
