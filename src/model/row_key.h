// The id of a row: a 64-bit integer (signed ids keep their bits) or text.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

namespace longbow {

using RowKey = std::variant<uint64_t, std::string>;

}  // namespace longbow
