// Long work behind the clients' backs as named actions: docs/wire/flight.md.
#pragma once

#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "engine/job.h"
#include "node/services.h"

namespace longbow::node {

// "running", "done", "failed", "cancelled".
const char* JobStateWord(engine::JobState state);

// As the other actions of actions.cc: JSON in, one JSON object out.
Result<std::vector<std::string>> ListJobs(Services& services, const std::string& body, const Cancellation*);
Result<std::vector<std::string>> CancelJob(Services& services, const std::string& body, const Cancellation*);

}  // namespace longbow::node
