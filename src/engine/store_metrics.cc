#include "engine/store_metrics.h"

namespace longbow::engine {

StoreMetrics::StoreMetrics(Metrics& metrics) {
  rows_put = metrics.MakeCounter("longbow_rows_put_total", "Rows acknowledged by puts");
  rows_deleted = metrics.MakeCounter("longbow_rows_deleted_total", "Ids acknowledged by deletes");
  rows_updated = metrics.MakeCounter("longbow_rows_updated_total", "Rows acknowledged by updates of columns");
  rows_expired = metrics.MakeCounter("longbow_rows_expired_total", "Rows deleted because their time had come");
  log_writes = metrics.MakeCounter("longbow_wal_writes_total", "Entries made durable in the write-ahead log");
  log_write_errors =
      metrics.MakeCounter("longbow_wal_write_errors_total", "Entries the write-ahead log refused or could not write");
  fsync_seconds = metrics.MakeHistogram("longbow_wal_fsync_duration_seconds",
                                        "Time of one fdatasync of the write-ahead log", LatencyBuckets());
  log_recoveries = metrics.MakeCounter("longbow_wal_recoveries_total",
                                       "Times the write-ahead log took writes again after the disk had failed");
  checkpoints_written = metrics.MakeCounter("longbow_checkpoints_total", "Checkpoints by outcome", {{"status", "ok"}});
  checkpoints_failed =
      metrics.MakeCounter("longbow_checkpoints_total", "Checkpoints by outcome", {{"status", "error"}});
  checkpoint_seconds =
      metrics.MakeHistogram("longbow_checkpoint_duration_seconds", "Time to write a checkpoint", LatencyBuckets());
  graphs_written = metrics.MakeCounter("longbow_graphs_written_total", "Sealed graphs written to files");
  compaction.compactions =
      metrics.MakeCounter("longbow_compactions_total", "Segments written again without their dead rows, or joined");
  compaction.cancelled =
      metrics.MakeCounter("longbow_compactions_cancelled_total", "Compactions that a stop or a client ended");
  compaction.failed = metrics.MakeCounter("longbow_compactions_failed_total", "Compactions that failed");
  compaction.rows_dropped =
      metrics.MakeCounter("longbow_compaction_rows_dropped_total", "Dead rows whose memory and disk came back");
  compaction.rows_total =
      metrics.MakeGauge("longbow_compaction_rows", "Rows to copy and link by the compaction that runs, or ran last");
  compaction.rows_done = metrics.MakeGauge("longbow_compaction_rows_done", "Of them, done");
  file_check.bytes_checked = metrics.MakeCounter(
      "longbow_files_checked_bytes_total", "Bytes of graphs, vectors and segments read behind a start to check them");
  file_check.damages =
      metrics.MakeCounter("longbow_file_damages_total", "Files, or parts of them, found damaged behind a start");
  file_check.rows_lost =
      metrics.MakeGauge("longbow_rows_lost", "Rows whose vectors no file has any more: restore from a snapshot");
  graph.seals = metrics.MakeCounter("longbow_graph_seals_total", "Sealed graphs built from active ones");
  graph.unlinked_rows = metrics.MakeCounter("longbow_graph_unlinked_rows_total", "Dead rows whose links were freed");
  graph.repaired_rows = metrics.MakeCounter("longbow_graph_repaired_rows_total",
                                            "Rows that no walk could reach and that were linked again");
  graph.recall_sampled =
      metrics.MakeHistogram("longbow_search_recall_sampled",
                            "Recall of single searches, of which some are asked again and compared with a scan",
                            {0.5, 0.7, 0.8, 0.9, 0.95, 0.99, 1});
  graph.failures =
      metrics.MakeCounter("longbow_graph_failures_total", "Graphs there was no memory for: their rows are scanned");
  segments_moved = metrics.MakeCounter("longbow_segments_moved_to_files_total",
                                       "Segments whose rows were mapped from files because memory was short");
  collections = metrics.MakeGauge("longbow_store_active_datasets", "Datasets");
  live_rows = metrics.MakeGauge("longbow_vector_index_size", "Live rows of all datasets");
  tail_rows =
      metrics.MakeGauge("longbow_index_queue_depth", "Rows not yet linked into a graph; searches scan them exactly");
  filters_size_bytes = metrics.MakeGauge("longbow_filter_index_size_bytes",
                                         "Indexes of columns, and of vectors in their order, made for filters");
  log_size_bytes = metrics.MakeGauge("longbow_wal_size_bytes", "Size of the write-ahead log on disk");
  read_only =
      metrics.MakeGauge("longbow_read_only", "1 after a failed write to the log, until the disk takes writes again");
}

}  // namespace longbow::engine
