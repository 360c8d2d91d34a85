#include "text/bit_packing.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <utility>

namespace longbow::text {
namespace {

using Lanes = uint32_t __attribute__((vector_size(16)));
using LanesAnywhere = uint32_t __attribute__((vector_size(16), aligned(1), may_alias));

constexpr size_t kSteps = kPackedNumbers / 4;

// Numbers 4 * step to 4 * step + 3.
template <uint32_t kBits, size_t kStep>
inline Lanes Numbers(const LanesAnywhere* in) {
  constexpr size_t kWord = kStep * kBits / 32;
  constexpr uint32_t kShift = kStep * kBits % 32;
  Lanes value = in[kWord] >> kShift;
  if constexpr (kShift + kBits > 32) {
    value |= in[kWord + 1] << (32 - kShift);
  }
  if constexpr (kBits < 32) {
    value &= (1u << kBits) - 1;
  }
  return value;
}

template <uint32_t kBits, size_t... kStep>
inline void UnpackSteps(const LanesAnywhere* in, LanesAnywhere* out, std::index_sequence<kStep...>) {
  ((out[kStep] = Numbers<kBits, kStep>(in)), ...);
}

inline void AddSums(Lanes numbers, Lanes* last, LanesAnywhere* out) {
  const Lanes zero = {};
  numbers += __builtin_shuffle(zero, numbers, Lanes{0, 4, 5, 6});
  numbers += __builtin_shuffle(zero, numbers, Lanes{0, 1, 4, 5});
  numbers += *last;
  *out = numbers;
  *last = __builtin_shuffle(numbers, Lanes{3, 3, 3, 3});
}

template <uint32_t kBits, size_t... kStep>
inline void SumSteps(const LanesAnywhere* in, uint32_t before, LanesAnywhere* out, std::index_sequence<kStep...>) {
  Lanes last = {before, before, before, before};
  (AddSums(Numbers<kBits, kStep>(in), &last, out + kStep), ...);
}

template <uint32_t kBits>
void Unpack(const uint8_t* in, uint32_t* out) {
  auto* const lanes = reinterpret_cast<LanesAnywhere*>(out);
  if constexpr (kBits == 0) {
    std::memset(out, 0, kPackedNumbers * sizeof(*out));
  } else {
    UnpackSteps<kBits>(reinterpret_cast<const LanesAnywhere*>(in), lanes, std::make_index_sequence<kSteps>());
  }
}

template <uint32_t kBits>
void Sum(const uint8_t* in, uint32_t before, uint32_t* out) {
  auto* const lanes = reinterpret_cast<LanesAnywhere*>(out);
  if constexpr (kBits == 0) {
    for (size_t i = 0; i < kPackedNumbers; ++i) {
      out[i] = before;
    }
  } else {
    SumSteps<kBits>(reinterpret_cast<const LanesAnywhere*>(in), before, lanes, std::make_index_sequence<kSteps>());
  }
}

template <size_t... kBits>
constexpr auto Unpackers(std::index_sequence<kBits...>) {
  return std::array{&Unpack<static_cast<uint32_t>(kBits)>...};
}
template <size_t... kBits>
constexpr auto Summers(std::index_sequence<kBits...>) {
  return std::array{&Sum<static_cast<uint32_t>(kBits)>...};
}

}  // namespace

uint32_t BitsFor(const uint32_t* numbers, size_t n) {
  uint32_t all = 0;
  for (size_t i = 0; i < n; ++i) {
    all |= numbers[i];
  }
  return static_cast<uint32_t>(std::bit_width(all));
}

void PackBits(const uint32_t* numbers, uint32_t bits, uint8_t* out) {
  std::fill_n(out, PackedBytes(bits), uint8_t{0});
  for (size_t i = 0; i < kPackedNumbers && bits > 0; ++i) {
    const size_t bit = i / 4 * bits;
    const auto put = [&](size_t word, uint32_t value) {
      uint8_t* const at = out + (word * 4 + i % 4) * sizeof(uint32_t);
      uint32_t old;
      std::memcpy(&old, at, sizeof(old));
      old |= value;
      std::memcpy(at, &old, sizeof(old));
    };
    put(bit / 32, numbers[i] << (bit % 32));
    if (bit % 32 + bits > 32) {
      put(bit / 32 + 1, numbers[i] >> (32 - bit % 32));
    }
  }
}

void UnpackBits(const uint8_t* in, uint32_t bits, uint32_t* out) {
  static constexpr auto kUnpackers = Unpackers(std::make_index_sequence<33>());
  kUnpackers[bits](in, out);
}

void UnpackSums(const uint8_t* in, uint32_t bits, uint32_t before, uint32_t* out) {
  static constexpr auto kSummers = Summers(std::make_index_sequence<33>());
  kSummers[bits](in, before, out);
}

}  // namespace longbow::text
