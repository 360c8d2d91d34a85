// A store for one command on a data folder that no node uses.
#pragma once

#include <memory>
#include <string>

#include "base/logging.h"
#include "base/metrics.h"
#include "base/status.h"
#include "engine/store.h"

namespace longbow::cli {

class OfflineStore {
 public:
  // `command`: for the lock's note. NOT_FOUND if the folder is none of ours, unless it may be made; else as
  // Store::Open. Only warnings are logged, to stderr.
  static Result<std::unique_ptr<OfflineStore>> Open(const std::string& data_dir, const std::string& command,
                                                    bool may_create = false);
  engine::Store& store() { return *store_; }

 private:
  OfflineStore();

  Logger logger_;
  Metrics metrics_;
  std::unique_ptr<engine::Store> store_;
};

// What a node with default options would use, for folders written with others too.
Result<engine::SegmentOptions> OfflineSegmentOptions();

}  // namespace longbow::cli
