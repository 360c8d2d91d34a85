#include "quantize/code_fields.h"

#include <gtest/gtest.h>

#include <cmath>

#include "quantize/test_rows.h"

namespace longbow::quantize {
namespace {

TEST(CodeFields, NumbersOfAllWidthsComeBack) {
  Random random(1);
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    for (const size_t dimension : {1, 2, 7, 8, 9, 31, 64, 100}) {
      const size_t offset = 5;
      const std::vector<CodeField> fields = SplitBits(dimension, bits, offset);
      const size_t end = fields.back().offset + FieldBytes(dimension, fields.back().bits);
      std::vector<uint8_t> numbers(dimension);
      for (uint8_t& number : numbers) {
        number = static_cast<uint8_t>(random.Below(uint64_t{1} << bits));
      }
      std::vector<uint8_t> code(end + 1, 0xee);
      std::vector<uint8_t> read(dimension, 0);
      for (const CodeField& field : fields) {
        PackField(field, numbers.data(), dimension, code.data());
      }
      for (const CodeField& field : fields) {
        UnpackField(field, code.data(), dimension, read.data());
      }
      EXPECT_EQ(read, numbers);
      EXPECT_EQ(code[offset - 1], 0xee);
      EXPECT_EQ(code[end], 0xee);
    }
  }
}

TEST(CodeFields, DotsAreExactUpToTheRoundingOfTheWeights) {
  Random random(2);
  for (uint32_t bits = 1; bits <= 8; ++bits) {
    for (const size_t dimension : {1, 13, 64, 200}) {
      for (const size_t planes : {1, 2}) {
        const std::vector<CodeField> fields = SplitBits(dimension, bits, 0);
        const size_t bytes = fields.back().offset + FieldBytes(dimension, fields.back().bits);
        std::vector<float> weights(dimension);
        for (float& weight : weights) {
          weight = Normal(&random);
        }
        const float centre = static_cast<float>((1u << bits) - 1) / 2;
        const CenteredDots dots(FastestKernels(), fields, dimension, centre, weights.data(), planes);
        std::vector<uint8_t> codes(bytes * kEstimateRows);
        std::vector<double> expected(kEstimateRows, 0);
        for (size_t i = 0; i < kEstimateRows; ++i) {
          std::vector<uint8_t> numbers(dimension);
          for (size_t d = 0; d < dimension; ++d) {
            numbers[d] = static_cast<uint8_t>(random.Below(uint64_t{1} << bits));
            expected[i] += static_cast<double>(weights[d]) * (numbers[d] - centre);
          }
          for (const CodeField& field : fields) {
            PackField(field, numbers.data(), dimension, codes.data() + i * bytes);
          }
        }
        float got[kEstimateRows];
        dots.Run({codes.data(), bytes, nullptr, kEstimateRows}, got);
        for (size_t i = 0; i < kEstimateRows; ++i) {
          const double worst = dots.step() / 2.0 * centre * static_cast<double>(dimension);
          ASSERT_NEAR(got[i], expected[i], worst + 1e-4 * centre) << bits << " bits, " << planes << " planes";
        }
      }
    }
  }
}

TEST(CodeFields, ZeroWeightsGiveZero) {
  const std::vector<float> weights(20, 0.0f);
  const CenteredDots dots(FastestKernels(), SplitBits(20, 8, 0), 20, 127.5f, weights.data(), 2);
  const std::vector<uint8_t> codes(20, 200);
  float got = 1;
  dots.Run({codes.data(), 20, nullptr, 1}, &got);
  EXPECT_EQ(got, 0);
}

}  // namespace
}  // namespace longbow::quantize
