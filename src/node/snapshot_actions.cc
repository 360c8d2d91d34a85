#include "node/snapshot_actions.h"

#include "base/utc_time.h"
#include "engine/snapshot_jobs.h"
#include "node/job_actions.h"
#include "node/json_answer.h"
#include "wire/requests.h"

namespace longbow::node {
namespace {

using Json = nlohmann::json;

Json Describe(const engine::ListedSnapshot& snapshot) {
  if (!snapshot.status.ok()) {
    return {{"id", snapshot.index.id}, {"error", snapshot.status.message()}};
  }
  uint64_t rows = 0;
  for (const auto& collection : snapshot.index.collections) {
    rows += collection.rows;
  }
  return {{"id", snapshot.index.id},
          {"taken_at", UtcTime(snapshot.index.taken_at_ns)},
          {"lsn", snapshot.index.lsn.value},
          {"dataset", snapshot.index.collection},
          {"datasets", snapshot.index.collections.size()},
          {"rows", rows},
          {"files", snapshot.index.files.size()},
          {"bytes", snapshot.index.size_bytes()}};
}

}  // namespace

Result<std::vector<std::string>> CreateSnapshot(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::SnapshotRequest request, wire::ParseSnapshot(body));
  LB_ASSIGN(const std::string id, services.snapshots.Begin(request.target, request.dataset));
  return JsonAnswer({{"id", id}, {"state", "running"}});
}

Result<std::vector<std::string>> SnapshotStatus(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::SnapshotRequest request, wire::ParseSnapshot(body));
  LB_ASSIGN(const engine::SnapshotStatus status, services.snapshots.Find(request.id));
  Json json{{"id", status.id},
            {"target", status.where},
            {"dataset", status.collection},
            {"state", JobStateWord(status.state)},
            {"files_total", status.files_total},
            {"files_done", status.files_done},
            {"bytes_total", status.bytes_total},
            {"bytes_done", status.bytes_done},
            {"bytes_copied", status.bytes_copied},
            {"seconds", status.seconds}};
  const engine::JobStatus job = status.AsJob();
  json["bytes_per_second"] = job.per_second();
  if (const auto eta_seconds = job.eta_seconds()) {
    json["eta_seconds"] = *eta_seconds;
  }
  if (status.state == engine::JobState::kDone) {
    json["lsn"] = status.lsn.value;
  }
  if (!status.error.ok()) {
    json["error"] = status.error.ToString();
  }
  return JsonAnswer(json);
}

Result<std::vector<std::string>> CancelSnapshot(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::SnapshotRequest request, wire::ParseSnapshot(body));
  LB_TRY(services.snapshots.Cancel(request.id));
  return JsonAnswer({{"id", request.id}});
}

Result<std::vector<std::string>> ListSnapshots(Services& services, const std::string& body,
                                               const Cancellation* cancellation) {
  LB_ASSIGN(const wire::SnapshotRequest request, wire::ParseSnapshot(body));
  LB_ASSIGN(const std::vector<engine::ListedSnapshot> snapshots,
            services.snapshots.ListWritten(request.target, cancellation));
  Json list = Json::array();
  for (const engine::ListedSnapshot& snapshot : snapshots) {
    list.push_back(Describe(snapshot));
  }
  return JsonAnswer({{"snapshots", std::move(list)}});
}

Result<std::vector<std::string>> DeleteSnapshot(Services& services, const std::string& body,
                                                const Cancellation* cancellation) {
  LB_ASSIGN(const wire::SnapshotRequest request, wire::ParseSnapshot(body));
  LB_ASSIGN(const engine::RemovedSnapshots removed,
            services.snapshots.Remove(request.target, request.id, cancellation));
  return JsonAnswer({{"id", request.id}, {"objects", removed.objects}, {"bytes", removed.bytes}});
}

}  // namespace longbow::node
