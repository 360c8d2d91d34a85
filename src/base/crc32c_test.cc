#include "base/crc32c.h"

#include <gtest/gtest.h>

#include <string>

#include "base/random.h"

namespace longbow {
namespace {

std::string Ramp(int first, int step) {
  std::string bytes(32, '\0');
  for (int i = 0; i < 32; ++i) {
    bytes[static_cast<size_t>(i)] = static_cast<char>(first + step * i);
  }
  return bytes;
}

// RFC 3720, appendix B.4, as numbers (the RFC prints them least significant byte first).
TEST(Crc32c, GivesTheValuesOfRfc3720OnEveryPath) {
  const std::string read_command(
      "\x01\xc0\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x14\x00\x00\x00\x00\x00\x04\x00"
      "\x00\x00\x00\x14\x00\x00\x00\x18\x28\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00\x00\x00\x00\x00\x00",
      48);
  for (const Crc32cPath& path : Crc32cPaths()) {
    SCOPED_TRACE(path.name);
    EXPECT_EQ(path.extend(0, std::string(32, '\0').data(), 32), 0x8a9136aau);
    EXPECT_EQ(path.extend(0, std::string(32, '\xff').data(), 32), 0x62a8ab43u);
    EXPECT_EQ(path.extend(0, Ramp(0, 1).data(), 32), 0x46dd794eu);
    EXPECT_EQ(path.extend(0, Ramp(31, -1).data(), 32), 0x113fdb5cu);
    EXPECT_EQ(path.extend(0, read_command.data(), 48), 0xd9963a56u);
    EXPECT_EQ(path.extend(0, "123456789", 9), 0xe3069283u);
    EXPECT_EQ(path.extend(0, "", 0), 0u);
  }
}

TEST(Crc32c, PathsAgreeOnOddSizesAndOffsetsAndInPieces) {
  Random random(7);
  std::string bytes(40'000, '\0');
  for (char& byte : bytes) {
    byte = static_cast<char>(random.Next());
  }
  const Crc32cPath& reference = Crc32cPaths().front();
  for (int round = 0; round < 500; ++round) {
    const size_t offset = random.Below(64);
    const size_t size = random.Below(round % 2 == 0 ? 2'000 : bytes.size() - offset);
    const size_t cut = random.Below(size + 1);
    const uint32_t before = static_cast<uint32_t>(random.Next());
    const uint32_t expected = reference.extend(before, bytes.data() + offset, size);
    for (const Crc32cPath& path : Crc32cPaths()) {
      EXPECT_EQ(path.extend(before, bytes.data() + offset, size), expected) << path.name << " size " << size;
      const uint32_t head = path.extend(before, bytes.data() + offset, cut);
      EXPECT_EQ(path.extend(head, bytes.data() + offset + cut, size - cut), expected) << path.name << " cut " << cut;
    }
    EXPECT_EQ(Crc32c(before, bytes.data() + offset, size), expected);
  }
}

}  // namespace
}  // namespace longbow
