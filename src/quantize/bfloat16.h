// The upper half of a float32: eight bits of precision for factors of codes.
#pragma once

#include <bit>
#include <cstdint>

namespace longbow::quantize {

// The largest bfloat16 that is not above the value; value is finite and far from the largest float.
inline uint16_t Bfloat16Below(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const bool away = value < 0 && (bits & 0xffff) != 0;
  return static_cast<uint16_t>((bits >> 16) + (away ? 1 : 0));
}

// The smallest that is not below.
inline uint16_t Bfloat16Above(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const bool away = value > 0 && (bits & 0xffff) != 0;
  return static_cast<uint16_t>((bits >> 16) + (away ? 1 : 0));
}

inline float WidenedBfloat16(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

}  // namespace longbow::quantize
