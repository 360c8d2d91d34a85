// What a store counts and measures, under the names that dashboards know.
#pragma once

#include "base/metrics.h"
#include "engine/file_check.h"
#include "engine/segment_graph.h"

namespace longbow::engine {

// Handles, made once.
struct StoreMetrics {
  explicit StoreMetrics(Metrics& metrics);

  Counter rows_put;
  Counter rows_deleted;
  Counter rows_updated;
  Counter rows_expired;
  Counter log_writes;
  Counter log_write_errors;
  Histogram fsync_seconds;
  Counter log_recoveries;
  Counter checkpoints_written;
  Counter checkpoints_failed;
  Histogram checkpoint_seconds;
  Counter graphs_written;
  Counter segments_moved;
  FileCheckMetrics file_check;
  GraphMetrics graph;
  struct {
    Counter compactions;
    Counter cancelled;
    Counter failed;
    Counter rows_dropped;  // dead ones
    Gauge rows_total;
    Gauge rows_done;
  } compaction;

  // Set when metrics are rendered.
  Gauge collections;
  Gauge live_rows;
  Gauge tail_rows;
  Gauge filters_size_bytes;
  Gauge log_size_bytes;
  Gauge read_only;
};

}  // namespace longbow::engine
