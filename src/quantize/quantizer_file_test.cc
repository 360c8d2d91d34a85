// Quantizers whose bytes were damaged.
#include "quantize/quantizer_file.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/crc32c.h"
#include "quantize/test_quantizers.h"
#include "quantize/test_rows.h"

namespace longbow::quantize {
namespace {

std::string BytesOf(const QuantizerCase& kind, size_t dimension) {
  const TestRows rows = ClusteredRows(300, dimension, 1);
  auto trained = kind.train(rows.sample(), FastestKernels());
  EXPECT_TRUE(trained.ok()) << trained.status().ToString();
  return (*trained)->Serialize();
}

// The checksum put right, so that only the values can give the damage away.
void Reseal(std::string* bytes) {
  const size_t crc_at = bytes->size() - sizeof(uint32_t);
  const uint32_t crc = Crc32c(0, bytes->data(), crc_at);
  std::memcpy(bytes->data() + crc_at, &crc, sizeof(crc));
}

class DamagedQuantizerTest : public testing::TestWithParam<QuantizerCase> {};

TEST_P(DamagedQuantizerTest, EveryFlippedByteIsDataLoss) {
  const std::string good = BytesOf(GetParam(), 3);
  ASSERT_TRUE(OpenQuantizer(good, FastestKernels()).ok());
  const size_t step = 1 + good.size() / 2000;
  for (size_t at = 0; at < good.size(); at += at < 64 ? 1 : step) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ 0x10);
    const auto opened = OpenQuantizer(bad, FastestKernels());
    ASSERT_FALSE(opened.ok()) << "byte " << at;
    EXPECT_EQ(opened.status().code(), StatusCode::kDataLoss);
  }
}

TEST_P(DamagedQuantizerTest, EveryCutIsDataLoss) {
  const std::string good = BytesOf(GetParam(), 3);
  const size_t step = 1 + good.size() / 500;
  for (size_t size = 0; size < good.size(); size += size < 64 ? 1 : step) {
    EXPECT_EQ(OpenQuantizer(std::string_view(good).substr(0, size), FastestKernels()).status().code(),
              StatusCode::kDataLoss);
  }
  EXPECT_EQ(OpenQuantizer(good + '\0', FastestKernels()).status().code(), StatusCode::kDataLoss);
}

// What a flipped bit and a fitting checksum make: refused, or a quantizer that can be used without harm.
TEST_P(DamagedQuantizerTest, ForgedValuesDoNoHarm) {
  const std::string good = BytesOf(GetParam(), 3);
  const TestRows rows = ClusteredRows(40, 3, 2);
  Random random(3);
  for (size_t trial = 0; trial < 400; ++trial) {
    std::string bad = good;
    // Half of the trials in the header and the first fields, which decide about sizes.
    const size_t at = random.Below(trial % 2 == 0 ? std::min<size_t>(60, bad.size() - 4) : bad.size() - 4);
    bad[at] = static_cast<char>(bad[at] ^ (1 << random.Below(8)));
    Reseal(&bad);
    const auto opened = OpenQuantizer(bad, FastestKernels());
    if (!opened.ok()) {
      EXPECT_TRUE(opened.status().code() == StatusCode::kDataLoss ||
                  opened.status().code() == StatusCode::kFailedPrecondition)
          << opened.status().ToString();
      continue;
    }
    ASSERT_EQ((*opened)->dimension(), 3u);
    const std::vector<uint8_t> codes = Encoded(**opened, rows);
    ASSERT_FALSE(codes.empty());
    auto estimator = (*opened)->Prepare(rows.row(0), Metric::kL2);
    std::vector<float> estimates(rows.n);
    (*estimator)->Estimate(codes.data(), rows.n, estimates.data());
  }
}

TEST_P(DamagedQuantizerTest, SizesThatTheBytesCannotFillAreRefused) {
  std::string bad = BytesOf(GetParam(), 3);
  const uint32_t dimension = 65'536;
  std::memcpy(bad.data() + 24, &dimension, sizeof(dimension));
  Reseal(&bad);
  EXPECT_EQ(OpenQuantizer(bad, FastestKernels()).status().code(), StatusCode::kDataLoss);
}

TEST(QuantizerFile, NewerVersionsAskForANewerProgram) {
  std::string newer = BytesOf(AllQuantizers().front(), 3);
  newer[8] = 2;
  Reseal(&newer);
  const auto opened = OpenQuantizer(newer, FastestKernels());
  ASSERT_FALSE(opened.ok());
  EXPECT_EQ(opened.status().code(), StatusCode::kFailedPrecondition);
  EXPECT_NE(opened.status().message().find("version 2"), std::string_view::npos);
}

TEST(QuantizerFile, BytesOfAnotherFormatAreDataLoss) {
  for (const std::string& bytes : {std::string(), std::string("LBQUANT\n"), std::string(1000, 'x')}) {
    EXPECT_EQ(OpenQuantizer(bytes, FastestKernels()).status().code(), StatusCode::kDataLoss);
  }
}

INSTANTIATE_TEST_SUITE_P(All, DamagedQuantizerTest, testing::ValuesIn(AllQuantizers()),
                         [](const auto& info) { return info.param.name; });

}  // namespace
}  // namespace longbow::quantize
