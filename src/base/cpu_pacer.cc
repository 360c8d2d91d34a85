#include "base/cpu_pacer.h"

#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <thread>

namespace longbow {
namespace {

constexpr int64_t kRestMinNs = 1'000'000;  // shorter rests are saved up
constexpr std::chrono::milliseconds kLookPeriod{20};

int64_t ThreadCpuNs() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return int64_t{now.tv_sec} * 1'000'000'000 + now.tv_nsec;
}

}  // namespace

CpuPacer::CpuPacer(uint32_t percent) : percent_(std::clamp(percent, 1u, 100u)), worked_ns_(ThreadCpuNs()) {}

void CpuPacer::Rest(const Cancellation* cancellation) {
  const int64_t rest_ns = (ThreadCpuNs() - worked_ns_) / percent_ * (100 - percent_);
  if (rest_ns < kRestMinNs) {
    return;
  }
  const auto end = std::chrono::steady_clock::now() + std::chrono::nanoseconds(rest_ns);
  for (auto now = std::chrono::steady_clock::now(); now < end && !IsCancelled(cancellation);
       now = std::chrono::steady_clock::now()) {
    std::this_thread::sleep_for(std::min<std::chrono::nanoseconds>(kLookPeriod, end - now));
  }
  worked_ns_ = ThreadCpuNs();
}

void LowerThreadPriority() {
  constexpr int kNice = 10;
  (void)setpriority(PRIO_PROCESS, 0, kNice);
}

}  // namespace longbow
