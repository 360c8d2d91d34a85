// SIGTERM and SIGINT as a call instead of an interruption.
#pragma once

#include <functional>
#include <thread>

#include "base/status.h"

namespace longbow::bin {

// Built first in main, before any other thread: threads inherit the blocked signals, so that only this object's thread
// takes them. The first signal calls `on_stop` once, on that thread; from then on both signals have their default
// effect, so that a second one ends a process whose draining hangs. Also ignores SIGPIPE: a closed socket or pipe is an
// error of the write, not the end of the process.
class StopSignals {
 public:
  // INTERNAL if the operating system refuses.
  static Result<StopSignals> Block();

  StopSignals(StopSignals&& other) noexcept;
  StopSignals& operator=(StopSignals&&) = delete;
  ~StopSignals();  // ends the thread; a signal that comes later has its default effect

  // Starts the thread. Once. `on_stop` gets the signal's number.
  void Watch(std::function<void(int signal)> on_stop);

 private:
  StopSignals(int signal_fd, int end_fd) : signal_fd_(signal_fd), end_fd_(end_fd) {}

  int signal_fd_;  // readable when a signal is there; -1 after a move
  int end_fd_;     // readable when the thread has to end
  std::thread thread_;
};

}  // namespace longbow::bin
