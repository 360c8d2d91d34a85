// A number that looks random, the same one for the same number on every machine.
#pragma once

#include <cstdint>

namespace longbow::index {

// A bijection: no two numbers become one. Multipliers found by search for little bias (hash-prospector, C. Wellons).
inline uint32_t MixBits(uint32_t x) {
  x = (x ^ (x >> 16)) * 0x7feb352du;
  x = (x ^ (x >> 15)) * 0x846ca68bu;
  return x ^ (x >> 16);
}

}  // namespace longbow::index
