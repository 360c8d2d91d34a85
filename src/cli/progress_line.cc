#include "cli/progress_line.h"

#include <unistd.h>

#include <chrono>
#include <cinttypes>
#include <cstdio>

namespace longbow::cli {

ProgressLine::ProgressLine(const engine::SnapshotProgress& progress) : progress_(progress) {
  if (isatty(STDERR_FILENO) == 1) {
    thread_ = std::thread([this] { Run(); });
  }
}

ProgressLine::~ProgressLine() {
  {
    const std::lock_guard lock(mu_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
    std::fprintf(stderr, "\r\x1b[K");
  }
}

void ProgressLine::Run() {
  const auto started = std::chrono::steady_clock::now();
  std::unique_lock lock(mu_);
  while (!wake_.wait_for(lock, std::chrono::seconds(1), [this] { return stopping_; })) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - started;
    const double done = static_cast<double>(progress_.bytes_done);
    const double total = static_cast<double>(progress_.bytes_total);
    const double rate = done / took.count();
    std::fprintf(stderr, "\r\x1b[K%" PRIu64 " of %" PRIu64 " files, %.0f of %.0f MB, %.0f MB/s, %.0f s to go",
                 progress_.files_done.load(), progress_.files_total.load(), done / 1e6, total / 1e6, rate / 1e6,
                 rate > 0 ? (total - done) / rate : 0.0);
  }
}

}  // namespace longbow::cli
