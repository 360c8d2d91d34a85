#include "net/net.h"

namespace longbow::net {

std::string_view Head::Get(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) {
      return value;
    }
  }
  return {};
}

}  // namespace longbow::net
