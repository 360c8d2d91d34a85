// Which Arrow types a collection may have: those that Parquet can hold.
#pragma once

#include "base/status.h"

namespace arrow {
class Field;
}

namespace longbow {

// INVALID_ARGUMENT naming column and type if the field's type, or a type inside it, has no Parquet form. A walk over
// the type only (model/ does not link Parquet); Parquet for Arrow C++ 26 is what it was checked against.
Status CheckStorable(const arrow::Field& column);

}  // namespace longbow
