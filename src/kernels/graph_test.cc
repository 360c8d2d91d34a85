#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <random>
#include <vector>

#include "kernels/dispatch.h"
#include "kernels/graph_kernels.h"

namespace longbow::kernels {
namespace {

constexpr size_t kDims[] = {16, 32, 48, 96, 112, 128, 144, 256, 304, 384, 784, 1024, 1536, 4096};

class GraphKernelsTest : public testing::TestWithParam<Isa> {
 protected:
  const GraphKernels& fast() const { return GraphKernelsOf(GetParam()); }
  const GraphKernels& reference() const { return kScalarGraphKernels; }

  std::vector<uint8_t> Bytes(size_t n) {
    std::vector<uint8_t> bytes(n);
    for (uint8_t& b : bytes) {
      b = static_cast<uint8_t>(random_());
    }
    return bytes;
  }
  std::vector<int8_t> Signed(size_t n) {
    std::vector<int8_t> bytes(n);
    for (int8_t& b : bytes) {
      b = static_cast<int8_t>(random_());
    }
    return bytes;
  }
  std::vector<float> Normal(size_t n) {
    std::normal_distribution<float> normal;
    std::vector<float> values(n);
    for (float& v : values) {
      v = normal(random_);
    }
    return values;
  }

  std::mt19937_64 random_{7};
};

TEST_P(GraphKernelsTest, DotProductsAreExact) {
  for (const size_t dim : kDims) {
    const std::vector<int8_t> query = Signed(dim);
    const size_t stride = dim + 8;
    const std::vector<uint8_t> rows = Bytes(stride * 50);
    std::vector<uint32_t> ids(43);
    std::vector<int32_t> expected(ids.size());
    for (size_t i = 0; i < ids.size(); ++i) {
      ids[i] = static_cast<uint32_t>(random_() % 50);
      expected[i] = reference().dot(rows.data() + ids[i] * stride, query.data(), dim);
      EXPECT_EQ(fast().dot(rows.data() + ids[i] * stride, query.data(), dim), expected[i]) << dim;
    }
    std::vector<int32_t> out(ids.size());
    fast().dot_ids(rows.data(), stride, query.data(), dim, ids.data(), ids.size(), out.data());
    EXPECT_EQ(out, expected) << dim;
    std::vector<int32_t> in_order(50);
    std::vector<int32_t> in_order_expected(50);
    fast().dot_rows(rows.data(), stride, query.data(), dim, 50, in_order.data());
    reference().dot_rows(rows.data(), stride, query.data(), dim, 50, in_order_expected.data());
    EXPECT_EQ(in_order, in_order_expected) << dim;
  }
}

TEST_P(GraphKernelsTest, DotProductsOfExtremeBytesDoNotOverflow) {
  constexpr size_t kDim = 65536;
  const std::vector<uint8_t> row(kDim, 255);
  const std::vector<int8_t> query(kDim, 127);
  EXPECT_EQ(fast().dot(row.data(), query.data(), kDim), 255 * 127 * 65536);
  const std::vector<int8_t> negative(kDim, -127);
  EXPECT_EQ(fast().dot(row.data(), negative.data(), kDim), -255 * 127 * 65536);
}

TEST_P(GraphKernelsTest, ScanEqualsReference) {
  for (const size_t dim : kDims) {
    const size_t lines = dim / kLineDimensions;
    const std::vector<uint8_t> codes = Bytes(lines * kLineBytes);
    const std::vector<uint8_t> tables = Bytes(lines * kLineBytes);
    std::vector<uint32_t> sums(kBlockNeighbors);
    std::vector<uint32_t> expected(kBlockNeighbors);
    fast().scan_codes(codes.data(), tables.data(), lines, sums.data());
    reference().scan_codes(codes.data(), tables.data(), lines, expected.data());
    EXPECT_EQ(sums, expected) << dim;
  }
}

TEST_P(GraphKernelsTest, BlocksGiveTheKeysOfTheReference) {
  for (const size_t dim : kDims) {
    BlockShape shape{};
    shape.dimension = dim;
    shape.code_lines = dim / kLineDimensions;
    shape.row_offset = shape.code_lines * kLineBytes;
    shape.header_offset = shape.row_offset + dim;
    shape.factors_offset = shape.header_offset + sizeof(BlockHeader);
    shape.ids_offset = shape.factors_offset + 2 * kBlockNeighbors;
    std::vector<uint8_t> block = Bytes(shape.ids_offset + kBlockNeighbors * 4);
    const BlockHeader header{0.01f, 3.0f, -1.0f, 0.01f, -0.5f, 0.001f};
    std::memcpy(block.data() + shape.header_offset, &header, sizeof(header));
    for (uint32_t j = 0; j < kBlockNeighbors; ++j) {
      std::memcpy(block.data() + shape.ids_offset + j * 4, &j, 4);
    }
    const std::vector<int8_t> row = Signed(dim);
    const std::vector<uint8_t> tables = Bytes(shape.code_lines * kLineBytes);
    const BlockQuery query{row.data(), 1234, -2.0f, 10.0f, tables.data(), 0.01f, -20.0f};
    const float key = reference().node_key(&shape, &query, block.data());
    EXPECT_NEAR(fast().node_key(&shape, &query, block.data()), key, std::abs(key) * 1e-5f) << dim;

    const float infinity = std::numeric_limits<float>::infinity();
    std::vector<uint64_t> all(48);
    ASSERT_EQ(reference().neighbor_keys(&shape, &query, block.data(), 1.0f, infinity, all.data()), kBlockNeighbors);
    std::sort(all.begin(), all.begin() + kBlockNeighbors);
    // The threshold stands between two keys, so that rounding does not decide.
    for (const size_t passing : {size_t{0}, size_t{1}, size_t{7}, size_t{31}, kBlockNeighbors}) {
      float threshold = infinity;
      if (passing < kBlockNeighbors) {
        uint32_t bits = static_cast<uint32_t>(all[passing] >> 32);
        bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xffffffffu;
        std::memcpy(&threshold, &bits, 4);
        threshold -= std::abs(threshold) * 1e-5f;
      }
      std::vector<uint64_t> found(48);
      const size_t n = fast().neighbor_keys(&shape, &query, block.data(), 1.0f, threshold, found.data());
      std::vector<uint64_t> expected(48);
      const size_t m = reference().neighbor_keys(&shape, &query, block.data(), 1.0f, threshold, expected.data());
      ASSERT_EQ(n, m) << dim << " passing " << passing;
      std::vector<uint32_t> ids;
      std::vector<uint32_t> expected_ids;
      for (size_t i = 0; i < n; ++i) {
        ids.push_back(static_cast<uint32_t>(found[i]));
        expected_ids.push_back(static_cast<uint32_t>(expected[i]));
      }
      std::sort(ids.begin(), ids.end());
      std::sort(expected_ids.begin(), expected_ids.end());
      EXPECT_EQ(ids, expected_ids) << dim;
    }
    std::vector<uint64_t> none(48);
    EXPECT_EQ(fast().neighbor_keys(&shape, &query, block.data(), std::numeric_limits<float>::quiet_NaN(), infinity,
                                   none.data()),
              0u);
  }
}

TEST_P(GraphKernelsTest, PoolStaysSorted) {
  for (int round = 0; round < 2000; ++round) {
    const size_t size = round % 100 == 0 ? 4000 + random_() % 200 : random_() % (round % 4 == 0 ? 600 : 100);
    const size_t count = random_() % (round % 2 == 0 ? 65 : 12);
    std::vector<uint64_t> memory(kPoolSentinels + size + count + 2 * kPoolSentinels, 0);
    uint64_t* const keys = memory.data() + kPoolSentinels;
    const uint64_t range = 1 + random_() % 200;  // small ones give equal keys
    for (size_t i = 0; i < size; ++i) {
      keys[i] = 1 + random_() % range;
    }
    std::sort(keys, keys + size);
    std::vector<uint64_t> flags(size);
    for (size_t i = 0; i < size; ++i) {
      flags[i] = random_() & kPoolFlags;
      keys[i] |= flags[i];
    }
    std::vector<uint64_t> fresh(64);
    for (size_t i = 0; i < count; ++i) {
      fresh[i] = 1 + random_() % range;
    }
    std::vector<uint64_t> expected(keys, keys + size);
    expected.insert(expected.end(), fresh.begin(), fresh.begin() + static_cast<std::ptrdiff_t>(count));
    const uint64_t lowest =
        count == 0 ? 0 : *std::min_element(fresh.begin(), fresh.begin() + static_cast<std::ptrdiff_t>(count));
    const auto by_key = [](uint64_t a, uint64_t b) { return (a & ~kPoolFlags) < (b & ~kPoolFlags); };
    const auto first = static_cast<size_t>(std::upper_bound(keys, keys + size, lowest, by_key) - keys);
    std::stable_sort(expected.begin(), expected.end(), by_key);
    const size_t at = fast().pool_insert(keys, size, fresh.data(), count);
    EXPECT_EQ(std::vector<uint64_t>(keys, keys + size + count), expected);
    EXPECT_EQ(at, count == 0 ? size : first);
  }
}

TEST_P(GraphKernelsTest, RotationKeepsLengthsAndEqualsReference) {
  for (const size_t dim : kDims) {
    size_t block = 16;
    while (block * 2 <= dim) {
      block *= 2;
    }
    std::vector<float> signs(3 * dim);
    for (float& s : signs) {
      s = (random_() & 1) != 0 ? 1.0f : -1.0f;
    }
    const std::vector<float> values = Normal(dim);
    std::vector<float> rotated = values;
    std::vector<float> expected = values;
    fast().rotate(rotated.data(), signs.data(), dim, block);
    reference().rotate(expected.data(), signs.data(), dim, block);
    double before = 0;
    double after = 0;
    for (size_t i = 0; i < dim; ++i) {
      EXPECT_NEAR(rotated[i], expected[i], 1e-5f);
      before += static_cast<double>(values[i]) * values[i];
      after += static_cast<double>(rotated[i]) * rotated[i];
    }
    EXPECT_NEAR(after, before, before * 1e-5) << dim;
  }
}

TEST_P(GraphKernelsTest, RowsQuantizeAndComeBack) {
  for (const size_t dim : kDims) {
    const std::vector<float> values = Normal(dim);
    std::vector<uint8_t> row(dim);
    std::vector<uint8_t> expected(dim);
    const float scale = fast().quantize_row(values.data(), dim, row.data());
    EXPECT_EQ(scale, reference().quantize_row(values.data(), dim, expected.data()));
    EXPECT_EQ(row, expected);
    std::vector<float> back(dim);
    fast().dequantize_row(row.data(), scale, dim, back.data());
    std::vector<uint8_t> residual(dim);
    fast().quantize_residual(values.data(), row.data(), scale, dim, residual.data());
    double exact = 0;
    for (size_t i = 0; i < dim; ++i) {
      EXPECT_NEAR(back[i], values[i], scale * 0.501f);
      const float fine = back[i] + scale * static_cast<float>(residual[i] - 128) / 254.0f;
      EXPECT_NEAR(fine, values[i], scale * 0.0045f);
      exact += static_cast<double>(values[i]) * values[i];
    }
    EXPECT_NEAR(fast().fine_dot(row.data(), residual.data(), values.data(), dim) * scale, exact, exact * 1e-3) << dim;
  }
  std::vector<float> zero(16, 0.0f);
  std::vector<uint8_t> row(16);
  EXPECT_GT(fast().quantize_row(zero.data(), 16, row.data()), 0.0f);
  EXPECT_EQ(row, std::vector<uint8_t>(16, 128));
}

TEST_P(GraphKernelsTest, RowsStandInForQueries) {
  for (const size_t dim : kDims) {
    const std::vector<uint8_t> row = Bytes(dim);
    std::vector<int8_t> query(dim);
    std::vector<int8_t> expected(dim);
    EXPECT_EQ(fast().row_as_query(row.data(), dim, query.data()),
              reference().row_as_query(row.data(), dim, expected.data()));
    EXPECT_EQ(query, expected);
  }
}

TEST_P(GraphKernelsTest, TablesHoldTheSignedSums) {
  for (const size_t dim : kDims) {
    const std::vector<float> values = Normal(dim);
    std::vector<uint8_t> tables(dim * 4);
    std::vector<uint8_t> expected(dim * 4);
    const float step = fast().make_tables(values.data(), dim, tables.data());
    EXPECT_NEAR(step, reference().make_tables(values.data(), dim, expected.data()), step * 1e-6f);
    for (size_t i = 0; i < tables.size(); ++i) {
      EXPECT_NEAR(tables[i], expected[i], 1) << dim << " at " << i;
      float sum = 0;
      for (size_t bit = 0; bit < 4; ++bit) {
        const float v = values[i / 16 * 4 + bit];
        sum += ((i >> bit) & 1) != 0 ? v : -v;
      }
      EXPECT_NEAR((static_cast<float>(tables[i]) - 127.5f) * step, sum, step * 0.52f);
    }
  }
}

TEST_P(GraphKernelsTest, SignsEqualReference) {
  for (const size_t dim : kDims) {
    const std::vector<float> row = Normal(dim);
    const std::vector<float> centre = Normal(dim);
    std::vector<uint8_t> bits(dim / 8);
    std::vector<uint8_t> expected(dim / 8);
    const SignSums sums = fast().encode_signs(row.data(), centre.data(), dim, bits.data());
    const SignSums expected_sums = reference().encode_signs(row.data(), centre.data(), dim, expected.data());
    EXPECT_EQ(bits, expected);
    EXPECT_NEAR(sums.squared_norm, expected_sums.squared_norm, expected_sums.squared_norm * 1e-5f);
    EXPECT_NEAR(sums.absolute, expected_sums.absolute, expected_sums.absolute * 1e-5f);
    EXPECT_NEAR(sums.centre, expected_sums.centre, expected_sums.absolute * 1e-5f);
  }
}

INSTANTIATE_TEST_SUITE_P(Isas, GraphKernelsTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(IsaName(info.param)); });

}  // namespace
}  // namespace longbow::kernels
