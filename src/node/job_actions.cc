#include "node/job_actions.h"

#include "engine/snapshot_jobs.h"
#include "node/json_answer.h"
#include "wire/requests.h"

namespace longbow::node {
namespace {

using Json = nlohmann::json;

Json Describe(const engine::JobStatus& job) {
  Json json{{"id", job.id},
            {"kind", job.kind},
            {"dataset", job.collection},
            {"state", JobStateWord(job.state)},
            {"unit", job.unit},
            {"done", job.done},
            {"total", job.total},
            {"seconds", job.seconds},
            {"per_second", job.per_second()}};
  if (const auto eta_seconds = job.eta_seconds()) {
    json["eta_seconds"] = *eta_seconds;
  }
  if (!job.error.ok()) {
    json["error"] = job.error.ToString();
  }
  return json;
}

}  // namespace

const char* JobStateWord(engine::JobState state) {
  switch (state) {
    case engine::JobState::kRunning:
      return "running";
    case engine::JobState::kDone:
      return "done";
    case engine::JobState::kFailed:
      return "failed";
    case engine::JobState::kCancelled:
      return "cancelled";
  }
  return "?";
}

Result<std::vector<std::string>> ListJobs(Services& services, const std::string&, const Cancellation*) {
  Json list = Json::array();
  LB_ASSIGN(const std::vector<engine::JobStatus> compactions, services.store.Compactions());
  for (const std::vector<engine::JobStatus>& jobs : {compactions, services.snapshots.List()}) {
    for (const engine::JobStatus& job : jobs) {
      list.push_back(Describe(job));
    }
  }
  return JsonAnswer({{"jobs", std::move(list)}});
}

Result<std::vector<std::string>> CancelJob(Services& services, const std::string& body, const Cancellation*) {
  LB_ASSIGN(const wire::JobRequest request, wire::ParseJob(body));
  if (!services.store.CancelCompaction(request.id).ok() && !services.snapshots.Cancel(request.id).ok()) {
    return NotFound("no such job was begun since this node started: ListJobs lists them");
  }
  return JsonAnswer({{"id", request.id}});
}

}  // namespace longbow::node
