#include "bin/stop_signals.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace longbow::bin {
namespace {

sigset_t StopSet() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  return set;
}

// Until there is something to read from one of the two; true if it is the first.
bool FirstIsReadable(int first_fd, int second_fd) {
  pollfd watched[] = {{first_fd, POLLIN, 0}, {second_fd, POLLIN, 0}};
  while (poll(watched, 2, -1) < 0 && errno == EINTR) {
  }
  return (watched[0].revents & POLLIN) != 0;
}

// The thread. Does not touch the object, which may move meanwhile.
void WaitForSignal(int signal_fd, int end_fd, const std::function<void(int signal)>& on_stop) {
  pthread_setname_np(pthread_self(), "signals");
  signalfd_siginfo info{};
  if (!FirstIsReadable(signal_fd, end_fd) || read(signal_fd, &info, sizeof(info)) != sizeof(info)) {
    return;
  }
  // One thread that does not block the signals is enough for the kernel to deliver the next one, which ends the
  // process.
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
  on_stop(static_cast<int>(info.ssi_signo));
  FirstIsReadable(end_fd, end_fd);
}

}  // namespace

Result<StopSignals> StopSignals::Block() {
  const sigset_t set = StopSet();
  signal(SIGPIPE, SIG_IGN);
  if (const int error = pthread_sigmask(SIG_BLOCK, &set, nullptr); error != 0) {
    return Internal(std::string("cannot block signals: ") + std::strerror(error));
  }
  const int signal_fd = signalfd(-1, &set, SFD_CLOEXEC);
  const int end_fd = eventfd(0, EFD_CLOEXEC);
  if (signal_fd < 0 || end_fd < 0) {
    return Internal(std::string("cannot watch signals: ") + std::strerror(errno));
  }
  return StopSignals(signal_fd, end_fd);
}

StopSignals::StopSignals(StopSignals&& other) noexcept
    : signal_fd_(std::exchange(other.signal_fd_, -1)),
      end_fd_(std::exchange(other.end_fd_, -1)),
      thread_(std::move(other.thread_)) {}

StopSignals::~StopSignals() {
  if (signal_fd_ < 0) {
    return;
  }
  if (thread_.joinable()) {
    eventfd_write(end_fd_, 1);
    thread_.join();
  }
  close(signal_fd_);
  close(end_fd_);
  const sigset_t set = StopSet();
  pthread_sigmask(SIG_UNBLOCK, &set, nullptr);
}

void StopSignals::Watch(std::function<void(int signal)> on_stop) {
  thread_ = std::thread([signal_fd = signal_fd_, end_fd = end_fd_, on_stop = std::move(on_stop)] {
    WaitForSignal(signal_fd, end_fd, on_stop);
  });
}

}  // namespace longbow::bin
