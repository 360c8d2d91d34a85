// Random numbers that a seed replays, on every machine and compiler alike.
#pragma once

#include <array>
#include <cstdint>

#include "base/status.h"

namespace longbow {

// xoshiro256** by Blackman and Vigna ("Scrambled linear pseudorandom number generators", 2018), its state filled from
// one 64-bit seed by SplitMix64. Not for secrets. For one thread at a time; a copy continues the same sequence on its
// own. The std distributions are not used because their results differ between standard libraries.
class Random {
 public:
  using result_type = uint64_t;

  explicit Random(uint64_t seed);

  uint64_t Next();
  // Uniform in [0, bound), without the bias of a plain modulo. bound > 0.
  uint64_t Below(uint64_t bound);
  // Uniform in [0, 1) with 53 random bits.
  double Fraction() { return static_cast<double>(Next() >> 11) * 0x1p-53; }

  // So that std::shuffle and the like take it.
  static constexpr uint64_t min() { return 0; }
  static constexpr uint64_t max() { return UINT64_MAX; }
  uint64_t operator()() { return Next(); }

 private:
  std::array<uint64_t, 4> state_;
};

// A seed that nobody can guess, from the operating system. INTERNAL if it has none to give.
Result<uint64_t> SystemSeed();

}  // namespace longbow
