// hot path: every byte of every put passes here once.
#include "base/crc32c.h"

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#elif defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#endif

namespace longbow {
namespace {

static_assert(std::endian::native == std::endian::little, "words are taken from memory as they are");

constexpr uint32_t kPolynomial = 0x82f63b78;  // 0x1edc6f41, lowest power in the highest bit

uint64_t LoadWord(const uint8_t* p) {
  uint64_t word = 0;
  std::memcpy(&word, p, sizeof(word));
  return word;
}

// Eight tables take eight bytes per step ("slicing by 8", Kounavis and Berry, 2005).
using Tables = std::array<std::array<uint32_t, 256>, 8>;

constexpr Tables MakeTables() {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) {
      crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    }
    tables[0][byte] = crc;
  }
  for (size_t t = 1; t < tables.size(); ++t) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      const uint32_t previous = tables[t - 1][byte];
      tables[t][byte] = (previous >> 8) ^ tables[0][previous & 0xff];
    }
  }
  return tables;
}

constexpr Tables kTables = MakeTables();

uint32_t ExtendByTable(uint32_t crc, const void* data, size_t size) {
  const auto* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    const uint64_t word = LoadWord(p) ^ crc;
    crc = 0;
    for (size_t byte = 0; byte < 8; ++byte) {
      crc ^= kTables[7 - byte][(word >> (8 * byte)) & 0xff];
    }
  }
  for (; size > 0; --size, ++p) {
    crc = (crc >> 8) ^ kTables[0][(crc ^ *p) & 0xff];
  }
  return ~crc;
}

#if defined(__x86_64__)

// a * b modulo the polynomial, both with the lowest power in the highest bit.
constexpr uint32_t Multiply(uint32_t a, uint32_t b) {
  uint32_t product = 0;
  for (int power = 31; power >= 0; --power) {
    if (((a >> power) & 1) != 0) {
      product ^= b;
    }
    b = (b >> 1) ^ ((b & 1) != 0 ? kPolynomial : 0);
  }
  return product;
}

// What `size` zero bytes do to a checksum is a multiplication by x^(8 * size), linear in each of its four bytes.
using ZerosTable = std::array<std::array<uint32_t, 256>, 4>;

constexpr ZerosTable MakeZerosTable(size_t size) {
  uint32_t factor = 0x80000000;  // x^0
  uint32_t power = 0x00800000;   // x^8, squared step by step
  for (size_t n = size; n > 0; n >>= 1) {
    if ((n & 1) != 0) {
      factor = Multiply(factor, power);
    }
    power = Multiply(power, power);
  }
  ZerosTable table{};
  for (uint32_t position = 0; position < 4; ++position) {
    for (uint32_t byte = 0; byte < 256; ++byte) {
      table[position][byte] = Multiply(factor, byte << (8 * position));
    }
  }
  return table;
}

// Each stream long enough to hide the cost of joining them, and a shorter size for what a long block leaves over.
constexpr size_t kLongBytes = 4096;
constexpr size_t kShortBytes = 256;
constexpr ZerosTable kLongZeros = MakeZerosTable(kLongBytes);
constexpr ZerosTable kShortZeros = MakeZerosTable(kShortBytes);

uint32_t AppendZeros(const ZerosTable& table, uint32_t crc) {
  return table[0][crc & 0xff] ^ table[1][(crc >> 8) & 0xff] ^ table[2][(crc >> 16) & 0xff] ^ table[3][crc >> 24];
}

// Three neighbouring streams at once: the instruction takes three cycles but can start every cycle.
__attribute__((target("sse4.2"))) uint32_t ExtendThreeStreams(uint32_t crc, const uint8_t* p, size_t stream_bytes,
                                                              const ZerosTable& zeros) {
  uint64_t a = crc;
  uint64_t b = 0;
  uint64_t c = 0;
  for (const uint8_t* end = p + stream_bytes; p < end; p += 8) {
    a = _mm_crc32_u64(a, LoadWord(p));
    b = _mm_crc32_u64(b, LoadWord(p + stream_bytes));
    c = _mm_crc32_u64(c, LoadWord(p + 2 * stream_bytes));
  }
  const uint32_t ab = AppendZeros(zeros, static_cast<uint32_t>(a)) ^ static_cast<uint32_t>(b);
  return AppendZeros(zeros, ab) ^ static_cast<uint32_t>(c);
}

__attribute__((target("sse4.2"))) uint32_t ExtendBySse42(uint32_t crc, const void* data, size_t size) {
  const auto* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (; size >= 3 * kLongBytes; size -= 3 * kLongBytes, p += 3 * kLongBytes) {
    crc = ExtendThreeStreams(crc, p, kLongBytes, kLongZeros);
  }
  for (; size >= 3 * kShortBytes; size -= 3 * kShortBytes, p += 3 * kShortBytes) {
    crc = ExtendThreeStreams(crc, p, kShortBytes, kShortZeros);
  }
  uint64_t wide = crc;
  for (; size >= 8; size -= 8, p += 8) {
    wide = _mm_crc32_u64(wide, LoadWord(p));
  }
  crc = static_cast<uint32_t>(wide);
  for (; size > 0; --size, ++p) {
    crc = _mm_crc32_u8(crc, *p);
  }
  return ~crc;
}

#elif defined(__ARM_FEATURE_CRC32)

uint32_t ExtendByArm(uint32_t crc, const void* data, size_t size) {
  const auto* p = static_cast<const uint8_t*>(data);
  crc = ~crc;
  for (; size >= 8; size -= 8, p += 8) {
    crc = __crc32cd(crc, LoadWord(p));
  }
  for (; size > 0; --size, ++p) {
    crc = __crc32cb(crc, *p);
  }
  return ~crc;
}

#endif

std::vector<Crc32cPath> FindPaths() {
  std::vector<Crc32cPath> paths = {{"table", ExtendByTable}};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("sse4.2")) {
    paths.push_back({"sse4.2", ExtendBySse42});
  }
#elif defined(__ARM_FEATURE_CRC32)
  paths.push_back({"arm", ExtendByArm});
#endif
  return paths;
}

}  // namespace

const std::vector<Crc32cPath>& Crc32cPaths() {
  static const std::vector<Crc32cPath> paths = FindPaths();
  return paths;
}

uint32_t Crc32c(uint32_t crc, const void* data, size_t size) {
  static const auto extend = Crc32cPaths().back().extend;
  return extend(crc, data, size);
}

}  // namespace longbow
