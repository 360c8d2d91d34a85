// "127.0.0.1:3000": where to listen, and whether only this machine can reach it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow::bin {

struct ListenAddress {
  std::string text;  // "127.0.0.1:3000", "[::1]:0": always an IP address and a port
  bool loopback = false;
};

// Takes IPV4:PORT, [IPV6]:PORT, localhost:PORT and :PORT (every IPv4 address, as in Go). Other host names are refused:
// the answer of a name service must not decide who can reach a database. INVALID_ARGUMENT.
Result<ListenAddress> ParseListenAddress(std::string_view text);

}  // namespace longbow::bin
