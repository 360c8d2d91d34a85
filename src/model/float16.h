// IEEE 754 half precision -> single precision, in integer and float operations that compilers vectorise.
#pragma once

#include <bit>
#include <cstdint>

namespace longbow {

// Exact for every input, subnormals included; infinities and NaNs stay what they are.
inline float FloatFromHalf(uint16_t half) {
  const uint32_t magnitude = static_cast<uint32_t>(half & 0x7fff) << 13;
  // The exponent is 112 too small here; multiplying by 2^112 also normalises subnormals.
  uint32_t bits = std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) * 0x1p112f);
  bits |= (half & 0x7c00) == 0x7c00 ? 0x7f800000u : 0u;
  return std::bit_cast<float>(bits | static_cast<uint32_t>(half & 0x8000) << 16);
}

}  // namespace longbow
