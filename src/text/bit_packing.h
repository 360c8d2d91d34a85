// 128 numbers below 2^bits in 16 * bits bytes, and back.
#pragma once

#include <cstddef>
#include <cstdint>

namespace longbow::text {

inline constexpr size_t kPackedNumbers = 128;

// Bits that the largest of `numbers` needs, 0 to 32.
uint32_t BitsFor(const uint32_t* numbers, size_t n);

constexpr size_t PackedBytes(uint32_t bits) { return kPackedNumbers / 8 * bits; }

// numbers: [128], each below 2^bits; out: [PackedBytes(bits)]. Number i stands in lane i % 4, so that four are unpacked
// at once (Lemire and Boytsov, Decoding billions of integers per second through vectorization, 2015).
void PackBits(const uint32_t* numbers, uint32_t bits, uint8_t* out);
// out: [128]. `bits` at most 32. Any bytes are numbers.
void UnpackBits(const uint8_t* in, uint32_t bits, uint32_t* out);
// The sums of the numbers so far, from `before`: rows from the distances between them. out: [128].
void UnpackSums(const uint8_t* in, uint32_t bits, uint32_t before, uint32_t* out);

}  // namespace longbow::text
