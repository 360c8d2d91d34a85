// Options of the stores that the tests of this folder open.
#pragma once

#include <cstdint>
#include <string>

#include "engine/store.h"
#include "engine/test_rows.h"

namespace longbow::engine {

// Whether a test may fork a copy of itself that starts threads and dies: ThreadSanitizer loses track of those.
#ifdef __SANITIZE_THREAD__
inline constexpr bool kForksMayStartThreads = false;
#else
inline constexpr bool kForksMayStartThreads = true;
#endif

// Small log files, and no checkpoint because of their size: it is written when the test says so.
inline StoreOptions TestStoreOptions(const std::string& data_dir, uint32_t segment_rows_max) {
  StoreOptions options;
  options.data_dir = data_dir;
  options.owner_note = "test";
  options.segment = TestSegmentOptions(segment_rows_max);
  options.tail_rows_max = 1'000'000;
  options.log_file_size_bytes = 64 << 10;
  options.checkpoint_log_size_bytes = uint64_t{1} << 40;
  return options;
}

}  // namespace longbow::engine
