#include "bin/listen_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

#include "base/parse_value.h"

namespace longbow::bin {
namespace {

bool IsLoopback(const in_addr& address) { return (ntohl(address.s_addr) >> 24) == 127; }

bool IsLoopback(const in6_addr& address) {
  if (IN6_IS_ADDR_V4MAPPED(&address)) {
    in_addr mapped{};
    std::memcpy(&mapped, address.s6_addr + 12, sizeof(mapped));
    return IsLoopback(mapped);
  }
  return IN6_IS_ADDR_LOOPBACK(&address);
}

}  // namespace

Result<ListenAddress> ParseListenAddress(std::string_view text) {
  const Status wrong = InvalidArgument("expected an IP address and a port such as 127.0.0.1:3000 or [::1]:3000, got '" +
                                       std::string(text) + "'");
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) {
    return wrong;
  }
  std::string host(text.substr(0, colon));
  const Result<int64_t> port = ParseInt(text.substr(colon + 1));
  if (!port.ok() || *port < 0 || *port > 65'535) {
    return wrong;
  }
  if (host == "localhost") {
    host = "127.0.0.1";
  } else if (host.empty()) {
    host = "0.0.0.0";
  }
  const std::string suffix = ":" + std::to_string(*port);
  in_addr v4{};
  if (inet_pton(AF_INET, host.c_str(), &v4) == 1) {
    return ListenAddress{host + suffix, IsLoopback(v4)};
  }
  in6_addr v6{};
  if (host.size() > 2 && host.front() == '[' && host.back() == ']' &&
      inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6) == 1) {
    return ListenAddress{host + suffix, IsLoopback(v6)};
  }
  return wrong;
}

}  // namespace longbow::bin
