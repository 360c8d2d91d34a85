// A neighbour packed into one integer: comparing two candidates is one instruction, moving them is memmove.
#pragma once

#include <bit>
#include <cstdint>

#include "index/vector_index.h"

namespace longbow::index {

// [ distance, order-preserving : 32 | id : 30 | flags : 2 ]. Without flags, candidates order exactly as Neighbor does.
// Distances are not NaN, ids below 2^30.
using Candidate = uint64_t;

inline Candidate MakeCandidate(float distance, LocalId id) {
  const float no_negative_zero = distance + 0.0f;
  const auto bits = std::bit_cast<uint32_t>(no_negative_zero);
  // Positive floats order as their bits do; of negative ones all bits are turned around.
  const uint32_t ordered = bits ^ ((bits >> 31) != 0 ? 0xffffffffu : 0x80000000u);
  return (static_cast<uint64_t>(ordered) << 32) | (static_cast<uint64_t>(id) << 2);
}

inline LocalId IdOf(Candidate candidate) { return static_cast<uint32_t>(candidate) >> 2; }

inline float DistanceOf(Candidate candidate) {
  const auto ordered = static_cast<uint32_t>(candidate >> 32);
  return std::bit_cast<float>(ordered ^ ((ordered >> 31) != 0 ? 0x80000000u : 0xffffffffu));
}

inline Neighbor NeighborOf(Candidate candidate) { return {DistanceOf(candidate), IdOf(candidate)}; }

}  // namespace longbow::index
