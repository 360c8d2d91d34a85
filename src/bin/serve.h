// `longbow serve`: builds the objects of a node, runs it, drains it.
#pragma once

#include "base/config.h"
#include "node/serve_options.h"

namespace longbow::bin {

// Runs until SIGTERM or SIGINT and returns the exit status: 0 after a clean stop, 1 when the node cannot start (the
// reason is the last line of the log). When it serves, prints to stdout the one line
//   longbow ready data=127.0.0.1:3000 meta=127.0.0.1:3001 metrics=127.0.0.1:9090 pid=4711
int Serve(const Config& config, node::ServeOptions options);

}  // namespace longbow::bin
