// Which namespace a dataset's name is in.
#pragma once

#include <string>
#include <string_view>

namespace longbow::engine {

inline constexpr char kDefaultNamespace[] = "default";

// `default/x` and `x` are one dataset: the name that it has in the catalog.
inline std::string CanonicalName(const std::string& name) {
  static const std::string kPrefix = std::string(kDefaultNamespace) + "/";
  size_t begin = 0;
  while (name.compare(begin, kPrefix.size(), kPrefix) == 0) {
    begin += kPrefix.size();
  }
  return name.substr(begin);
}

// The part of a canonical name before its first slash; names without one, or starting with it, are in the default
// namespace.
inline std::string NamespaceOf(std::string_view canonical_name) {
  const size_t slash = canonical_name.find('/');
  return slash == std::string_view::npos || slash == 0 ? kDefaultNamespace
                                                       : std::string(canonical_name.substr(0, slash));
}

}  // namespace longbow::engine
