#include "node/services.h"

namespace longbow::node {

RequestMetrics::RequestMetrics(Metrics& metrics) {
  for (const char* action : {"do_get", "do_put", "do_exchange", "do_action", "list_flights", "get_flight_info",
                             "get_schema", "list_actions", "handshake", "search", "search_stream", "other"}) {
    const auto counter = [&](const char* name, const char* status) {
      return metrics.MakeCounter(name, "Flight calls by method and outcome", {{"action", action}, {"status", status}});
    };
    by_action_[action] = {
        counter("longbow_flight_ops_total", "ok"), counter("longbow_flight_ops_total", "error"),
        counter("longbow_flight_operations_total", "ok"), counter("longbow_flight_operations_total", "error"),
        metrics.MakeHistogram("longbow_flight_duration_seconds", "Time from the first byte to the end of a Flight call",
                              LatencyBuckets(), {{"action", action}})};
  }
  rows_put = metrics.MakeCounter("longbow_flight_rows_processed_total", "Rows over Flight",
                                 {{"operation", "put"}, {"status", "ok"}});
  rows_got = metrics.MakeCounter("longbow_flight_rows_processed_total", "Rows over Flight",
                                 {{"operation", "get"}, {"status", "ok"}});
  const auto refusals = [&](const char* reason) {
    return metrics.MakeCounter("longbow_access_refusals_total", "Calls refused for what they come from",
                               {{"reason", reason}});
  };
  unauthenticated = refusals("unauthenticated");
  permission_denied = refusals("permission_denied");
  const auto rate_limit = [&](const char* status) {
    return metrics.MakeCounter("longbow_rate_limit_requests_total", "Calls that met a limit of rate or number",
                               {{"status", status}});
  };
  rate_allowed = rate_limit("allowed");
  rate_throttled = rate_limit("throttled");
  queue_age_refusals = metrics.MakeCounter("longbow_queue_age_refusals_total",
                                           "Calls refused because their client's older ones had waited too long");
  put_payload_size_bytes =
      metrics.MakeHistogram("longbow_doput_payload_size_bytes", "Size of one put message", SizeBuckets());
  search_seconds = metrics.MakeHistogram("longbow_vector_search_latency_seconds",
                                         "Time to answer one search request in the engine", LatencyBuckets());
}

CallMetrics& RequestMetrics::For(const std::string& action) {
  const auto found = by_action_.find(action);
  return found == by_action_.end() ? by_action_.at("other") : found->second;
}

void ReadinessWatchers::Add(std::weak_ptr<const void> call, Watcher watcher) {
  std::lock_guard lock(mu_);
  watchers_.emplace_back(std::move(call), std::move(watcher));
}

void ReadinessWatchers::Notify() {
  std::vector<std::pair<std::shared_ptr<const void>, Watcher>> alive;
  {
    std::lock_guard lock(mu_);
    std::erase_if(watchers_, [](const auto& watcher) { return watcher.first.expired(); });
    for (const auto& [call, watcher] : watchers_) {
      if (auto held = call.lock()) {
        alive.emplace_back(std::move(held), watcher);
      }
    }
  }
  for (const auto& [call, watcher] : alive) {
    watcher();
  }
}

}  // namespace longbow::node
