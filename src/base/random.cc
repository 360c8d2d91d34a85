#include "base/random.h"

#include <sys/random.h>

#include <bit>
#include <cerrno>
#include <cstring>

namespace longbow {

Random::Random(uint64_t seed) {
  for (uint64_t& word : state_) {
    seed += 0x9e3779b97f4a7c15;
    uint64_t mixed = seed;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    word = mixed ^ (mixed >> 31);
  }
}

uint64_t Random::Next() {
  const uint64_t result = std::rotl(state_[1] * 5, 7) * 9;
  const uint64_t shifted = state_[1] << 17;
  state_[2] ^= state_[0];
  state_[3] ^= state_[1];
  state_[1] ^= state_[2];
  state_[0] ^= state_[3];
  state_[2] ^= shifted;
  state_[3] = std::rotl(state_[3], 45);
  return result;
}

uint64_t Random::Below(uint64_t bound) {
  // The lowest 2^64 mod bound values would make some results likelier than others: draw again.
  const uint64_t unfair = (0 - bound) % bound;
  uint64_t drawn = Next();
  while (drawn < unfair) {
    drawn = Next();
  }
  return drawn % bound;
}

Result<uint64_t> SystemSeed() {
  uint64_t seed = 0;
  ssize_t got = -1;
  do {
    got = getrandom(&seed, sizeof(seed), 0);
  } while (got < 0 && errno == EINTR);
  if (got != static_cast<ssize_t>(sizeof(seed))) {
    return Internal(std::string("the operating system gives no random numbers: ") + std::strerror(errno));
  }
  return seed;
}

}  // namespace longbow
