// What the elements of stored vectors are.
// Included by files compiled for instruction sets that the CPU may lack: plain data and declarations only.
#pragma once

#include <stddef.h>
#include <stdint.h>

namespace longbow {

// The order is that of kernel tables (kernels/kernels.h); nothing on disk or on the wire holds these numbers.
enum class ElementType : uint8_t {
  kFloat32 = 0,
  kFloat16 = 1,
  kBFloat16 = 2,
  kFloat64 = 3,
  kInt8 = 4,
  kUInt8 = 5,
  kInt16 = 6,
  kUInt16 = 7,
  kInt32 = 8,
  kUInt32 = 9,
  kInt64 = 10,
  kUInt64 = 11,
  kComplex64 = 12,   // two float32: re, im
  kComplex128 = 13,  // two float64: re, im
};
inline constexpr size_t kElementTypes = 14;

size_t ElementSizeBytes(ElementType type);
// "float32", "uint8", "complex64": as in the schema key longbow.vector_type.
const char* ElementTypeName(ElementType type);
// Integers of any width; neither floats nor complex numbers.
bool IsInteger(ElementType type);

}  // namespace longbow
