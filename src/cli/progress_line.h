// A line on the terminal that tells how far a snapshot or a restore is.
#pragma once

#include <condition_variable>
#include <mutex>
#include <thread>

#include "engine/snapshot.h"

namespace longbow::cli {

// Written to stderr every second as long as this lives, if that is a terminal. `progress` must outlive it.
class ProgressLine {
 public:
  explicit ProgressLine(const engine::SnapshotProgress& progress);
  ~ProgressLine();

 private:
  void Run();

  const engine::SnapshotProgress& progress_;
  std::mutex mu_;
  std::condition_variable wake_;
  bool stopping_ = false;  // guarded by mu_
  std::thread thread_;
};

}  // namespace longbow::cli
