// Every table of code kernels that this machine can run, against the scalar one.
#include "kernels/code_scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/code_scan_dispatch.h"
#include "kernels/dispatch.h"

namespace longbow::kernels {
namespace {

class CodeKernelsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    auto table = CodeKernelsOf(GetParam());
    ASSERT_TRUE(table.ok()) << table.status().ToString();
    k_ = *table;
  }

  std::vector<uint8_t> Bytes(size_t n) {
    std::vector<uint8_t> bytes(n);
    for (uint8_t& byte : bytes) {
      byte = static_cast<uint8_t>(random_.Next());
    }
    return bytes;
  }
  std::vector<float> Floats(size_t n) {
    std::vector<float> values(n);
    for (float& v : values) {
      v = static_cast<float>(random_.Fraction() * 2 - 1);
    }
    return values;
  }

  const CodeKernels* k_ = nullptr;
  const CodeKernels& reference_ = kScalarCodeKernels;
  Random random_{42};
};

using DotKernel = void (*CodeKernels::*)(const CodeRows*, size_t, const int8_t*, int32_t*);

TEST_P(CodeKernelsTest, DotsEqualTheReferenceForEverySize) {
  const std::pair<DotKernel, size_t> kinds[] = {
      {&CodeKernels::dot_u8, 1}, {&CodeKernels::dot_u4, 2}, {&CodeKernels::dot_u2, 4}, {&CodeKernels::dot_u1, 8}};
  for (const auto& [dot, fields] : kinds) {
    for (size_t bytes = 0; bytes <= 200; bytes = bytes < 70 ? bytes + 1 : bytes + 17) {
      const size_t stride = bytes + bytes % 5;
      const std::vector<uint8_t> codes = Bytes(stride * 19);
      std::vector<int8_t> query(fields * bytes);
      for (int8_t& q : query) {
        q = static_cast<int8_t>(static_cast<int64_t>(random_.Below(255)) - 127);
      }
      std::vector<uint32_t> ids(23);
      for (uint32_t& id : ids) {
        id = static_cast<uint32_t>(random_.Below(19));
      }
      for (const CodeRows& rows :
           {CodeRows{codes.data(), stride, nullptr, 19}, CodeRows{codes.data(), stride, nullptr, 1},
            CodeRows{codes.data(), stride, ids.data(), ids.size()}}) {
        std::vector<int32_t> expected(rows.n);
        std::vector<int32_t> got(rows.n, -1);
        (reference_.*dot)(&rows, bytes, query.data(), expected.data());
        (k_->*dot)(&rows, bytes, query.data(), got.data());
        ASSERT_EQ(expected, got) << bytes << " bytes, " << fields << " fields a byte";
      }
    }
  }
}

TEST_P(CodeKernelsTest, DotsDoNotOverflowAtTheLargestDimension) {
  const size_t dim = 65'536;
  const std::vector<uint8_t> codes(dim, 255);
  for (const int8_t value : {int8_t{127}, int8_t{-127}}) {
    const std::vector<int8_t> query(dim, value);
    const CodeRows rows{codes.data(), dim, nullptr, 1};
    int32_t got = 0;
    k_->dot_u8(&rows, dim, query.data(), &got);
    EXPECT_EQ(got, static_cast<int32_t>(dim) * 255 * value);
    k_->dot_u4(&rows, dim / 2, query.data(), &got);
    EXPECT_EQ(got, static_cast<int32_t>(dim) * 15 * value);
    k_->dot_u1(&rows, dim / 8, query.data(), &got);
    EXPECT_EQ(got, static_cast<int32_t>(dim) * value);
  }
}

TEST_P(CodeKernelsTest, LookupsEqualTheReference) {
  for (const size_t bytes : {0, 1, 2, 3, 4, 7, 8, 31, 48, 97}) {
    const std::vector<float> tables = Floats(bytes * 256);
    const std::vector<uint8_t> codes = Bytes(bytes * 21);
    const std::vector<uint32_t> ids = {20, 0, 3, 3, 19, 7, 1, 2, 5, 20, 11};
    for (const CodeRows& rows :
         {CodeRows{codes.data(), bytes, nullptr, 21}, CodeRows{codes.data(), bytes, ids.data(), ids.size()}}) {
      std::vector<float> expected(rows.n);
      std::vector<float> got(rows.n, -1);
      reference_.lookup_bytes(&rows, bytes, tables.data(), expected.data());
      k_->lookup_bytes(&rows, bytes, tables.data(), got.data());
      for (size_t i = 0; i < rows.n; ++i) {
        ASSERT_NEAR(expected[i], got[i], 1e-5 * static_cast<double>(bytes + 1));
      }
    }
  }
}

TEST_P(CodeKernelsTest, ScansEqualTheReference) {
  for (const size_t lines : {0, 1, 2, 3, 24, 127, 128, 129, 300}) {
    for (const bool largest : {false, true}) {
      const size_t stride = lines * kScanLineBytes + 12;
      std::vector<uint8_t> tables = Bytes(lines * kScanLineBytes);
      if (largest) {
        std::fill(tables.begin(), tables.end(), uint8_t{255});
      }
      const std::vector<uint8_t> blocks = Bytes(stride * 3);
      std::vector<uint32_t> expected(3 * kScanRows);
      std::vector<uint32_t> got(3 * kScanRows, 1);
      reference_.scan_blocks(blocks.data(), stride, 3, lines, tables.data(), expected.data());
      k_->scan_blocks(blocks.data(), stride, 3, lines, tables.data(), got.data());
      ASSERT_EQ(expected, got) << lines << " lines";
      if (largest) {
        EXPECT_EQ(got[5], lines * kScanFields * 255);
      }
    }
  }
}

TEST_P(CodeKernelsTest, ScoresEqualTheReference) {
  for (const size_t k : {16, 32, 64, 80, 256}) {
    for (const size_t dim : {0, 1, 3, 8, 33}) {
      for (const size_t n : {0, 1, 3, 4, 9}) {
        const size_t stride = dim + 2;
        const std::vector<float> rows = Floats(stride * n + 1);
        const std::vector<float> columns = Floats(dim * k + 1);
        const std::vector<float> bias = Floats(k);
        std::vector<float> expected(n * k);
        std::vector<float> got(n * k, -1);
        reference_.score_columns(rows.data(), stride, n, columns.data(), bias.data(), dim, k, expected.data());
        k_->score_columns(rows.data(), stride, n, columns.data(), bias.data(), dim, k, got.data());
        for (size_t i = 0; i < n * k; ++i) {
          ASSERT_NEAR(expected[i], got[i], 1e-5 * static_cast<double>(dim + 1));
        }
      }
    }
  }
}

TEST_P(CodeKernelsTest, FindsTheFirstOfTheLargest) {
  for (const size_t k : {16, 32, 48, 256}) {
    for (size_t at = 0; at < k; ++at) {
      std::vector<float> values = Floats(k);
      values[at] = 2;
      ASSERT_EQ(k_->index_of_max(values.data(), k), at);
      values[random_.Below(k)] = 2;
      ASSERT_EQ(k_->index_of_max(values.data(), k), reference_.index_of_max(values.data(), k));
    }
    const std::vector<float> equal(k, -1.0f);
    ASSERT_EQ(k_->index_of_max(equal.data(), k), 0u);
  }
}

INSTANTIATE_TEST_SUITE_P(AllIsas, CodeKernelsTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(IsaName(info.param)); });

}  // namespace
}  // namespace longbow::kernels
