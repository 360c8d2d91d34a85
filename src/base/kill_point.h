// Named places where the process can be made to die, so that a test can put a crash between any two durable steps.
//
// LB_KILL_POINT("log.group.written") costs one relaxed load and does nothing, until ArmKillPoint was told that name:
// then the nth passage sends SIGKILL to this process. The idea is that of RocksDB's TEST_KILL_RANDOM and of etcd's
// failpoints; tests/crash/test_kill_points.py reads all names from the sources and hits every one.
#pragma once

#include <atomic>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow {

// `text`: "name:nth", nth from 1; empty arms nothing. INVALID_ARGUMENT if it has another form. Call it once, before
// there are threads.
Status ArmKillPoint(std::string_view text);

namespace internal {
extern std::atomic<bool> kill_point_is_armed;
void PassKillPoint(std::string_view name);
}  // namespace internal

}  // namespace longbow

#define LB_KILL_POINT(name)                                                         \
  do {                                                                              \
    if (::longbow::internal::kill_point_is_armed.load(std::memory_order_relaxed)) { \
      ::longbow::internal::PassKillPoint(name);                                     \
    }                                                                               \
  } while (false)
