// Snapshots as named actions: docs/wire/flight.md.
#pragma once

#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "node/services.h"

namespace longbow::node {

// As the other actions of actions.cc: JSON in, one JSON object out.
Result<std::vector<std::string>> CreateSnapshot(Services& services, const std::string& body, const Cancellation*);
Result<std::vector<std::string>> SnapshotStatus(Services& services, const std::string& body, const Cancellation*);
Result<std::vector<std::string>> CancelSnapshot(Services& services, const std::string& body, const Cancellation*);
Result<std::vector<std::string>> ListSnapshots(Services& services, const std::string& body,
                                               const Cancellation* cancellation);
Result<std::vector<std::string>> DeleteSnapshot(Services& services, const std::string& body,
                                                const Cancellation* cancellation);

}  // namespace longbow::node
