// Vectors of rows that were found, as they travel.
#pragma once

#include <cstdint>
#include <string>

#include "base/status.h"
#include "engine/view.h"
#include "model/query.h"

namespace longbow::engine {

// Little-endian, [dimension]:
//   kStored     the elements as they are stored
//   kFloat32, kFloat16   rounded to that; beyond its range infinite
//   kQuantized  f32 lowest, f32 step, then u8 codes [dimension]: an element is about lowest + step * code, at most half
//   a
//               step (and float32's rounding) away. SQ8 with a range for each vector.
// INVALID_ARGUMENT for other formats than the stored one where elements are packed bits; FAILED_PRECONDITION without a
// vector column.
Status CheckVectorFormat(const CollectionSchema& schema, VectorFormat format);
// Of a row of the view; empty if it has no vector.
std::string VectorBytes(const View& view, uint64_t ordinal, VectorFormat format);

}  // namespace longbow::engine
