// The operator's port: metrics and health over plain HTTP, nothing else.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "access/key_ring.h"
#include "base/metrics.h"
#include "base/status.h"
#include "net/net.h"
#include "node/verbs.h"

namespace longbow::node {

// What the endpoints report; functions are called on transport threads and must be quick.
struct Operator {
  std::function<std::string()> metrics;  // Prometheus text
  std::function<Status()> started;       // OK once the data folder is open
  std::function<Status()> ready;         // OK while all requests are taken
  const access::KeyRing* keys;           // outlives the port
};

std::vector<Verb> HttpVerbs();

// GET and HEAD of /metrics, /livez, /readyz, /startupz, /health; null (404) for other paths, 405 for other methods,
// 401 and 403 for metrics where keys are asked for.
std::shared_ptr<net::Handler> MakeHttpHandler(const Operator& operation, std::shared_ptr<net::Call> call);

}  // namespace longbow::node
