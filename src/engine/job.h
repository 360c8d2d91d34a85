// Long work behind the clients' backs, as everybody may see it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/status.h"

namespace longbow::engine {

enum class JobState : uint8_t { kRunning, kDone, kFailed, kCancelled };

struct JobStatus {
  std::string id;
  const char* kind = "";   // "compaction", "snapshot"
  std::string collection;  // empty: the whole store
  JobState state = JobState::kRunning;
  const char* unit = "";  // of the next two: "rows", "bytes"
  uint64_t done = 0;
  uint64_t total = 0;  // 0 until that is known
  double seconds = 0;  // since it was begun, or as long as it took
  Status error;        // of a failed one

  double per_second() const { return seconds > 0 ? static_cast<double>(done) / seconds : 0; }
  // At the rate so far; none unless it runs and something is done.
  std::optional<double> eta_seconds() const {
    const bool known = state == JobState::kRunning && done > 0 && total >= done;
    return known ? std::optional(static_cast<double>(total - done) / per_second()) : std::nullopt;
  }
};

}  // namespace longbow::engine
