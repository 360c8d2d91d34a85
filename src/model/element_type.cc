#include "model/element_type.h"

#include <array>

namespace longbow {
namespace {

struct Row {
  const char* name;
  size_t size_bytes;
};

// In the order of ElementType.
constexpr std::array<Row, kElementTypes> kRows = {{{"float32", 4},
                                                   {"float16", 2},
                                                   {"bfloat16", 2},
                                                   {"float64", 8},
                                                   {"int8", 1},
                                                   {"uint8", 1},
                                                   {"int16", 2},
                                                   {"uint16", 2},
                                                   {"int32", 4},
                                                   {"uint32", 4},
                                                   {"int64", 8},
                                                   {"uint64", 8},
                                                   {"complex64", 8},
                                                   {"complex128", 16}}};

}  // namespace

size_t ElementSizeBytes(ElementType type) { return kRows[static_cast<size_t>(type)].size_bytes; }

const char* ElementTypeName(ElementType type) { return kRows[static_cast<size_t>(type)].name; }

bool IsInteger(ElementType type) { return type >= ElementType::kInt8 && type <= ElementType::kUInt64; }

}  // namespace longbow
