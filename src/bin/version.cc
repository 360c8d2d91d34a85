#include "bin/version.h"

namespace longbow::bin {
namespace {

#if defined(__clang__)
constexpr std::string_view kCompiler = "clang " __clang_version__;
#else
constexpr std::string_view kCompiler = "gcc " __VERSION__;
#endif

#if defined(__aarch64__)
constexpr std::string_view kPlatform = "linux-aarch64";
#else
constexpr std::string_view kPlatform = "linux-x86_64";
#endif

}  // namespace

std::string_view Version() { return LONGBOW_VERSION; }

std::string VersionLine() {
  std::string line = "longbow " + std::string(Version()) + " (" + std::string(kPlatform) + ", " +
                     std::string(kCompiler) + ", " LONGBOW_BUILD_TYPE;
  if (std::string_view sanitizers = LONGBOW_SANITIZERS; !sanitizers.empty()) {
    line += ", " + std::string(sanitizers) + " sanitizer";
  }
  return line + ")";
}

}  // namespace longbow::bin
