// Which grid point stands for a direction: the encoding of RaBitQ.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longbow::quantize {

// The grid point that was chosen: number - (2^bits - 1) / 2 in each dimension.
struct GridPoint {
  double inner_product = 0;  // of the point and the direction; above 0 unless the direction is zero
  double squared_norm = 0;   // of the point
};

// Chooses the point with a small angle to `direction` and writes its numbers. Any scale of the direction gives the same
// point. direction, numbers: [size]; size is a multiple of 16; bits in [1, 8].
GridPoint NearestGridPoint(const float* direction, size_t size, uint32_t bits, uint8_t* numbers);

}  // namespace longbow::quantize
