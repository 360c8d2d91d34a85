#include "text/bit_packing.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace longbow::text {
namespace {

TEST(BitPacking, EveryWidthComesBack) {
  Random random(9);
  for (uint32_t bits = 0; bits <= 32; ++bits) {
    for (int round = 0; round < 20; ++round) {
      std::vector<uint32_t> numbers(kPackedNumbers);
      for (uint32_t& number : numbers) {
        const uint64_t below = uint64_t{1} << bits;
        number = static_cast<uint32_t>(random.Below(4) == 0 ? below - 1 : random.Below(below));
      }
      std::vector<uint8_t> packed(PackedBytes(bits));
      PackBits(numbers.data(), bits, packed.data());
      std::vector<uint32_t> out(kPackedNumbers);
      UnpackBits(packed.data(), bits, out.data());
      ASSERT_EQ(out, numbers) << bits;
      const auto before = static_cast<uint32_t>(random.Below(1000));
      UnpackSums(packed.data(), bits, before, out.data());
      uint32_t sum = before;
      for (size_t i = 0; i < kPackedNumbers; ++i) {
        sum += numbers[i];  // modulo 2^32, as there
        ASSERT_EQ(out[i], sum) << bits << ", " << i;
      }
      ASSERT_LE(BitsFor(numbers.data(), numbers.size()), bits);
    }
  }
}

}  // namespace
}  // namespace longbow::text
