#include "access/grant.h"

namespace longbow::access {

std::string_view RightName(Right right) {
  switch (right) {
    case Right::kNone:
      return "none";
    case Right::kRead:
      return "read";
    case Right::kWrite:
      return "write";
    case Right::kAdmin:
      return "admin";
  }
  return "?";
}

Result<Right> ParseRight(std::string_view text) {
  for (const Right right : {Right::kRead, Right::kWrite, Right::kAdmin}) {
    if (text == RightName(right)) {
      return right;
    }
  }
  return InvalidArgument("expected read, write or admin, got '" + std::string(text) + "'");
}

Status Grant::Allow(Right needed, std::string_view verb) const {
  if (right >= needed) {
    return {};
  }
  return {StatusCode::kPermissionDenied, std::string(verb) + " needs the right to " + std::string(RightName(needed)) +
                                             ", this key has that to " + std::string(RightName(right))};
}

Status Grant::AllowNamespace(std::string_view other) const {
  if (Covers(other)) {
    return {};
  }
  return {StatusCode::kPermissionDenied, "this key is for namespace '" + name_space + "', the request is for '" +
                                             std::string(other) + "' (datasets are named namespace/name)"};
}

}  // namespace longbow::access
