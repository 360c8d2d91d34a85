// Bitmaps as 64-bit words at any bit offset, and bytes packed into bits.
#pragma once

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace longbow::filter {

static_assert(std::endian::native == std::endian::little, "bit i of a bitmap is bit i % 8 of byte i / 8");

inline constexpr int64_t kWordBits = 64;

inline int64_t WordsFor(int64_t bits) { return (bits + kWordBits - 1) / kWordBits; }

// The lowest `count` bits set; count 0 ..= 64.
inline uint64_t LowMask(int64_t count) { return count >= kWordBits ? ~uint64_t{0} : (uint64_t{1} << count) - 1; }

// Bits [bit, bit + count) of an Arrow bitmap, count 1 ..= 64; reads no byte beyond the last of them.
inline uint64_t LoadBits(const uint8_t* bitmap, int64_t bit, int64_t count) {
  const uint8_t* first = bitmap + bit / 8;
  const int64_t shift = bit % 8;
  const int64_t size_bytes = (shift + count + 7) / 8;
  uint64_t word = 0;
  std::memcpy(&word, first, static_cast<size_t>(std::min<int64_t>(size_bytes, 8)));
  word >>= shift;
  if (size_bytes > 8) {
    word |= static_cast<uint64_t>(first[8]) << (kWordBits - shift);
  }
  return word & LowMask(count);
}

// Overwrites bits [bit, bit + count) with the low bits of `word`, count 1 ..= 64; all others stay.
inline void StoreBits(uint64_t* words, uint64_t bit, uint64_t word, int64_t count) {
  uint64_t* at = words + bit / kWordBits;
  const int64_t shift = static_cast<int64_t>(bit % kWordBits);
  if (shift == 0 && count == kWordBits) {
    *at = word;
    return;
  }
  const uint64_t mask = LowMask(count);
  *at = (*at & ~(mask << shift)) | (word & mask) << shift;
  if (shift + count > kWordBits) {
    at[1] = (at[1] & ~(mask >> (kWordBits - shift))) | (word & mask) >> (kWordBits - shift);
  }
}

// 64 bytes, each 0 or 1, as bits: the multiplication moves the low bit of eight bytes into the top byte.
inline uint64_t PackBytes(const uint8_t* bytes) {
  uint64_t word = 0;
  for (int group = 0; group < 8; ++group) {
    uint64_t eight = 0;
    std::memcpy(&eight, bytes + group * 8, 8);
    word |= (eight * 0x0102040810204080ull >> 56) << (group * 8);
  }
  return word;
}

// out[0, WordsFor(count)) = test(0), test(1), ... as bits; bits past `count` are 0. A `test` without branches
// vectorises.
template <typename Test>
void FillWords(int64_t count, uint64_t* out, Test test) {
  alignas(64) uint8_t bytes[kWordBits];
  int64_t begin = 0;
  for (; begin + kWordBits <= count; begin += kWordBits) {
    for (int64_t i = 0; i < kWordBits; ++i) {
      bytes[i] = static_cast<uint8_t>(test(begin + i));
    }
    *out++ = PackBytes(bytes);
  }
  if (begin < count) {
    std::memset(bytes, 0, sizeof(bytes));
    for (int64_t i = 0; begin + i < count; ++i) {
      bytes[i] = static_cast<uint8_t>(test(begin + i));
    }
    *out = PackBytes(bytes);
  }
}

}  // namespace longbow::filter
