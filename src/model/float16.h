// IEEE 754 half precision <-> single precision, in integer and float operations that compilers vectorise.
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

// The nearest half, ties to the even one; beyond 65,520 infinity. NaNs become one quiet NaN.
inline uint16_t HalfFromFloat(float value) {
  constexpr uint32_t kInfinity = 0x7f800000u;
  constexpr uint32_t kTooLarge = 0x47800000u;        // 2^16
  constexpr uint32_t kSmallestNormal = 0x38800000u;  // 2^-14
  const auto bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = (bits >> 16) & 0x8000u;
  uint32_t magnitude = bits & 0x7fffffffu;
  if (magnitude >= kTooLarge) {
    return static_cast<uint16_t>(sign | (magnitude > kInfinity ? 0x7e00u : 0x7c00u));
  }
  if (magnitude < kSmallestNormal) {
    // Next to 0.5 floats are 2^-24 apart, as subnormal halves are: the addition rounds.
    return static_cast<uint16_t>(
        sign | (std::bit_cast<uint32_t>(std::bit_cast<float>(magnitude) + 0.5f) - std::bit_cast<uint32_t>(0.5f)));
  }
  const uint32_t is_odd = (magnitude >> 13) & 1u;
  magnitude += 0xfffu + is_odd - (112u << 23);
  return static_cast<uint16_t>(sign | (magnitude >> 13));
}

}  // namespace longbow
