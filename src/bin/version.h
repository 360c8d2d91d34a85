// What this binary is.
#pragma once

#include <string>
#include <string_view>

namespace longbow::bin {

std::string_view Version();  // "0.1.0"
// One line for `longbow version`: version, platform, compiler, build type.
std::string VersionLine();

}  // namespace longbow::bin
