// How a store uses its log: options, and what it does when the disk fails.
#include <chrono>
#include <thread>

#include "base/limits.h"
#include "engine/store.h"

namespace longbow::engine {

namespace {

// Half of what one stream may have on its way (limits::kStreamUnacknowledgedMaxBytes): while one half is synced, the
// other comes.
constexpr uint64_t kPutsPerSyncBytes = limits::kStreamUnacknowledgedMaxBytes / 2;

}  // namespace

storage::LogOptions Store::MakeLogOptions() {
  return {.file_size_bytes = options_.log_file_size_bytes,
          .sync = options_.log_sync,
          .bulk_sync_bytes = kPutsPerSyncBytes,
          .sync_interval = options_.log_sync_interval,
          .on_sync =
              [this](std::chrono::nanoseconds took) {
                metrics_.fsync_seconds.Observe(std::chrono::duration<double>(took).count());
              },
          .id = checkpoints_.manifest().log_id,
          .clock = &environment_.clock};
}

Status Store::WriteHealth() const {
  LB_TRY(log_->health());
  return applier_->health();
}

// Says once that the log stopped, and tries to bring it back.
void Store::WatchLog(std::chrono::steady_clock::time_point now) {
  constexpr std::chrono::seconds kRetry{1};
  const Status health = log_->health();
  if (health.ok()) {
    log_was_healthy_ = true;
    return;
  }
  if (log_was_healthy_) {
    log_was_healthy_ = false;
    next_recovery_ = now + kRetry;
    environment_.logger.Error("writes are refused", {{"reason", health.ToString()}});
  } else if (now >= next_recovery_) {
    next_recovery_ = now + kRetry;
    const Status recovered = RecoverLog();
    if (!recovered.ok()) {
      environment_.logger.Debug("the log cannot be written yet", {{"reason", recovered.ToString()}});
    }
  }
}

Status Store::RecoverLog() {
  if (log_->health().ok()) {
    return {};
  }
  LB_TRY(log_->Recover());
  ForgetRefusedSchemas();
  metrics_.log_recoveries.Add();
  environment_.logger.Info("writes are taken again", {{"lsn", log_->last_lsn().value}});
  return {};
}

// Columns that a refused put would have added must not bind the next ones.
void Store::ForgetRefusedSchemas() {
  for (const std::shared_ptr<Collection>& collection : List()) {
    std::lock_guard order(collection->propose_mu);
    // Nothing is proposed meanwhile; what was is applied or refused soon, by threads that do not need this mutex.
    while (collection->entries_in_flight.load() > 0) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    collection->proposed_schema = *collection->shard.Pin()->schema;
  }
}

}  // namespace longbow::engine
