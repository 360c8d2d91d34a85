// CPU and wall time in seconds, for measuring.
#pragma once

#include <time.h>

namespace longbow::cli {

inline double ReadClock(clockid_t clock) {
  timespec now{};
  clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

inline double WallSeconds() { return ReadClock(CLOCK_MONOTONIC); }
inline double ThreadCpuSeconds() { return ReadClock(CLOCK_THREAD_CPUTIME_ID); }
inline double ProcessCpuSeconds() { return ReadClock(CLOCK_PROCESS_CPUTIME_ID); }

}  // namespace longbow::cli
