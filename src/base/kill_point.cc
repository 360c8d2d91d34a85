#include "base/kill_point.h"

#include <signal.h>
#include <unistd.h>

#include <charconv>

namespace longbow {
namespace {

// Written by ArmKillPoint only, which happens before any thread starts.
std::string armed_name;
std::atomic<int64_t> passages_left{0};

}  // namespace

namespace internal {

std::atomic<bool> kill_point_is_armed{false};

void PassKillPoint(std::string_view name) {
  if (name == armed_name && passages_left.fetch_sub(1) == 1) {
    // Not abort or _exit: nothing of this process may run any more, neither handlers nor destructors.
    ::kill(::getpid(), SIGKILL);
    ::pause();
  }
}

}  // namespace internal

Status ArmKillPoint(std::string_view text) {
  if (text.empty()) {
    return {};
  }
  const size_t colon = text.rfind(':');
  int64_t nth = 0;
  if (colon != std::string_view::npos && colon > 0) {
    const char* end = text.data() + text.size();
    const auto parsed = std::from_chars(text.data() + colon + 1, end, nth);
    nth = parsed.ec == std::errc() && parsed.ptr == end ? nth : 0;
  }
  if (nth < 1) {
    return InvalidArgument("kill point '" + std::string(text) + "': write name:nth with nth from 1");
  }
  armed_name = text.substr(0, colon);
  passages_left = nth;
  internal::kill_point_is_armed = true;
  return {};
}

}  // namespace longbow
