// When a written row counts as acknowledged, and so what a power cut may take.
#pragma once

#include <cstdint>

namespace longbow {

// The end of the process alone, kill -9 included, takes nothing under any of them: what was acknowledged is in the
// operating system's hands at least.
enum class SyncPolicy : uint8_t {
  kFsync,     // fdatasync returned: a power cut takes nothing
  kInterval,  // written; fdatasync begins an interval later at most: a power cut takes what is younger than that
  kNone,      // written; synced when a log file is full, at a checkpoint and at a clean end: it may take all since then
};

// As the configuration and the server's log name it.
constexpr const char* SyncPolicyName(SyncPolicy policy) {
  switch (policy) {
    case SyncPolicy::kFsync:
      return "fsync";
    case SyncPolicy::kInterval:
      return "interval";
    case SyncPolicy::kNone:
      return "none";
  }
  return "?";
}

}  // namespace longbow
