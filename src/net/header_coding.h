// The text forms that gRPC over HTTP/2 gives to deadlines, messages and binary values in headers, and the HTTP status
// that stands for a code. Source: grpc/doc/PROTOCOL-HTTP2.md and grpc/doc/http-grpc-status-mapping.md. Pure functions.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow::net {

// "20m" -> 20 ms. Finer units are rounded up. Nothing for text that is not 1 to 8 digits and a unit of H, M, S, m, u,
// n.
std::optional<std::chrono::milliseconds> ParseGrpcTimeout(std::string_view text);

// For grpc-message: bytes outside printable ASCII, and '%', as %XX. The result has at most `size_max` bytes: clients
// refuse header lists that are too long, and would then see neither code nor message.
std::string PercentEncode(std::string_view text, size_t size_max);

// For keys ending in -bin. Without padding, as gRPC sends it.
std::string Base64Encode(std::string_view bytes);

// True for "application/grpc", alone or followed by '+' or ';'.
bool IsGrpcContentType(std::string_view content_type);

int HttpStatusOf(StatusCode code);

}  // namespace longbow::net
