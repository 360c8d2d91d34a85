// How messages name an Arrow type.
#pragma once

#include <string>

namespace arrow {
class DataType;
}

namespace longbow {

// "int64", "utf8", "float32", "fixed_size_list<item: float32>[128]": the spelling that Longbow's clients know (Arrow
// for Go), which differs from Arrow C++'s own ("string", "float"). Types without a spelling of their own: Arrow C++'s.
std::string TypeName(const arrow::DataType& type);

}  // namespace longbow
