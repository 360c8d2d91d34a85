#include "cli/offline_store.h"

#include <utility>

#include "base/clock.h"
#include "base/file.h"
#include "base/limits.h"
#include "kernels/dispatch.h"

namespace longbow::cli {

OfflineStore::OfflineStore() : logger_({.level = LogLevel::kWarn, .format = LogFormat::kConsole}) {}

Result<engine::SegmentOptions> OfflineSegmentOptions() {
  engine::SegmentOptions options;
  LB_ASSIGN(options.kernels, kernels::KernelsFromEnvironment());
  options.rows_max = limits::kSegmentRowsMax;
  return options;
}

Result<std::unique_ptr<OfflineStore>> OfflineStore::Open(const std::string& data_dir, const std::string& command,
                                                         bool may_create) {
  FileSystem& fs = RealFileSystem();
  LB_ASSIGN(const bool exists, fs.Exists(data_dir + "/FORMAT"));
  if (!exists && !may_create) {
    return NotFound("'" + data_dir + "' is not a data folder: it has no file FORMAT");
  }
  engine::StoreOptions options;
  options.data_dir = data_dir;
  options.owner_note = command;
  LB_ASSIGN(options.segment, OfflineSegmentOptions());
  options.tail_rows_max = limits::kTailRowsMax;
  options.log_file_size_bytes = limits::kLogFileSizeBytes;
  options.checkpoint_log_size_bytes = uint64_t{1} << 30;
  options.tidy_files = false;
  options.compact = false;
  std::unique_ptr<OfflineStore> offline(new OfflineStore());
  LB_ASSIGN(offline->store_,
            engine::Store::Open({fs, RealClock(), offline->logger_, offline->metrics_}, std::move(options)));
  return offline;
}

}  // namespace longbow::cli
