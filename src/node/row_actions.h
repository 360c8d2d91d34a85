// Actions about rows that are there: count, delete, delete-vector, update.
#pragma once

#include <string>
#include <vector>

#include "base/cancellation.h"
#include "base/status.h"
#include "node/services.h"

namespace longbow::node {

Result<std::vector<std::string>> CountRows(Services& services, const std::string& body,
                                           const Cancellation* cancellation);
Result<std::vector<std::string>> DeleteRows(Services& services, const std::string& body,
                                            const Cancellation* cancellation);
Result<std::vector<std::string>> DeleteVector(Services& services, const std::string& body,
                                              const Cancellation* cancellation);
Result<std::vector<std::string>> UpdateRows(Services& services, const std::string& body,
                                            const Cancellation* cancellation);

}  // namespace longbow::node
