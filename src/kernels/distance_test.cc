// Every table that this machine can run, against sums in double.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "kernels/dispatch.h"

namespace longbow::kernels {
namespace {

constexpr double kTolerance = 4e-6;  // of the sum of magnitudes: float rounding of up to some thousand terms in 16 sums

struct Expected {
  double value = 0;
  double magnitude = 0;
};

Expected SquaredL2(const float* a, const float* b, size_t dim) {
  Expected e;
  for (size_t i = 0; i < dim; ++i) {
    const double difference = static_cast<double>(a[i]) - b[i];
    e.value += difference * difference;
  }
  e.magnitude = e.value;
  return e;
}

Expected InnerProduct(const float* a, const float* b, size_t dim) {
  Expected e;
  for (size_t i = 0; i < dim; ++i) {
    const double product = static_cast<double>(a[i]) * b[i];
    e.value += product;
    e.magnitude += std::abs(product);
  }
  return e;
}

void ExpectNear(const Expected& expected, float got) {
  ASSERT_NEAR(expected.value, got, kTolerance * expected.magnitude + 1e-30);
}

class KernelsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    auto table = KernelsOf(GetParam());
    ASSERT_TRUE(table.ok()) << table.status().ToString();
    k_ = *table;
    ASSERT_EQ(k_->isa, GetParam());
  }

  // Values of either sign whose magnitudes span `decades` powers of ten.
  std::vector<float> Random(size_t n, double decades) {
    std::normal_distribution<double> normal;
    std::uniform_real_distribution<double> exponent(-decades / 2, decades / 2);
    std::vector<float> values(n);
    for (float& v : values) {
      v = static_cast<float>(normal(random_) * std::pow(10.0, exponent(random_)));
    }
    return values;
  }

  const Kernels* k_ = nullptr;
  std::mt19937_64 random_{20240607};
};

TEST_P(KernelsTest, PairsOfEverySmallSizeAndOffset) {
  for (const double decades : {0.0, 6.0}) {
    const std::vector<float> a = Random(160, decades);
    const std::vector<float> b = Random(160, decades);
    for (size_t dim = 0; dim <= 130; ++dim) {
      for (const size_t offset : {0, 1, 3, 7, 13}) {
        const float* x = a.data() + offset;
        const float* y = b.data() + (offset * 2) % 11;
        SCOPED_TRACE(testing::Message() << "dim " << dim << " offset " << offset);
        ExpectNear(SquaredL2(x, y, dim), k_->squared_l2(x, y, dim));
        ExpectNear(InnerProduct(x, y, dim), k_->inner_product(x, y, dim));
        ExpectNear(InnerProduct(x, x, dim), k_->inner_product(x, x, dim));
      }
    }
  }
}

TEST_P(KernelsTest, LargeDimensions) {
  for (const size_t dim : {255, 256, 384, 768, 1000, 1536, 4097, 65536}) {
    const std::vector<float> a = Random(dim + 1, 4);
    const std::vector<float> b = Random(dim + 1, 4);
    SCOPED_TRACE(testing::Message() << "dim " << dim);
    ExpectNear(SquaredL2(a.data() + 1, b.data(), dim), k_->squared_l2(a.data() + 1, b.data(), dim));
    ExpectNear(InnerProduct(a.data() + 1, b.data(), dim), k_->inner_product(a.data() + 1, b.data(), dim));
  }
}

TEST_P(KernelsTest, ManyRowsGiveTheBitsOfOneRow) {
  for (const size_t dim : {1, 3, 15, 16, 17, 31, 32, 33, 47, 64, 96, 100, 129, 384}) {
    const size_t rows = 23;
    const std::vector<float> base = Random(rows * dim + 1, 3);
    const std::vector<float> query = Random(dim, 3);
    std::vector<uint32_t> ids(rows);
    for (uint32_t& id : ids) {
      id = random_() % rows;
    }
    for (size_t n = 0; n <= rows; ++n) {
      const float* matrix = base.data() + (dim % 2);
      std::vector<float> got(n + 1, -7.0f);
      for (const bool l2 : {true, false}) {
        const auto one = l2 ? k_->squared_l2 : k_->inner_product;
        (l2 ? k_->squared_l2_rows : k_->inner_product_rows)(query.data(), matrix, dim, n, got.data());
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ(got[i], one(query.data(), matrix + i * dim, dim)) << "row " << i << " of " << n << ", dim " << dim;
          ASSERT_EQ(got[i], one(matrix + i * dim, query.data(), dim)) << "swapped, row " << i << ", dim " << dim;
        }
        (l2 ? k_->squared_l2_ids : k_->inner_product_ids)(query.data(), matrix, dim, ids.data(), n, got.data());
        for (size_t i = 0; i < n; ++i) {
          ASSERT_EQ(got[i], one(query.data(), matrix + ids[i] * dim, dim)) << "id " << ids[i] << ", dim " << dim;
        }
        ASSERT_EQ(got[n], -7.0f) << "wrote past the end";
      }
    }
  }
}

// A page that faults lies right behind the last value and right before the first.
class GuardedFloats {
 public:
  explicit GuardedFloats(size_t n) {
    const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t body = (n * sizeof(float) + page - 1) / page * page + page;
    size_ = body + 2 * page;
    void* p = mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(p, MAP_FAILED);
    memory_ = static_cast<char*>(p);
    EXPECT_EQ(mprotect(memory_, page, PROT_NONE), 0);
    EXPECT_EQ(mprotect(memory_ + page + body, page, PROT_NONE), 0);
    first_ = reinterpret_cast<float*>(memory_ + page);
    end_ = reinterpret_cast<float*>(memory_ + page + body);
  }
  ~GuardedFloats() { munmap(memory_, size_); }
  float* first() const { return first_; }
  float* LastOnes(size_t n) const { return end_ - n; }

 private:
  char* memory_ = nullptr;
  size_t size_ = 0;
  float* first_ = nullptr;
  float* end_ = nullptr;
};

TEST_P(KernelsTest, ReadsNothingOutsideItsInput) {
  constexpr size_t kRows = 7;
  for (size_t dim = 0; dim <= 130; ++dim) {
    const GuardedFloats guarded_a(dim);
    const GuardedFloats guarded_b(kRows * dim);
    const std::vector<float> values = Random(kRows * dim, 0);
    const uint32_t ids[kRows] = {6, 0, 5, 1, 4, 2, 3};
    float out[kRows];
    for (const bool at_end : {true, false}) {
      float* a = at_end ? guarded_a.LastOnes(dim) : guarded_a.first();
      float* b = at_end ? guarded_b.LastOnes(kRows * dim) : guarded_b.first();
      if (dim != 0) {
        std::memcpy(a, values.data(), dim * sizeof(float));
        std::memcpy(b, values.data(), kRows * dim * sizeof(float));
      }
      const float* last = b + (kRows - 1) * dim;
      ExpectNear(SquaredL2(a, last, dim), k_->squared_l2(a, last, dim));
      ExpectNear(InnerProduct(a, last, dim), k_->inner_product(a, last, dim));
      k_->squared_l2_rows(a, b, dim, kRows, out);
      ExpectNear(SquaredL2(a, last, dim), out[kRows - 1]);
      k_->inner_product_rows(a, b, dim, kRows, out);
      ExpectNear(InnerProduct(a, last, dim), out[kRows - 1]);
      k_->squared_l2_ids(a, b, dim, ids, kRows, out);
      ExpectNear(SquaredL2(a, last, dim), out[0]);
      k_->inner_product_ids(a, b, dim, ids, kRows, out);
      ExpectNear(InnerProduct(a, last, dim), out[0]);
      ASSERT_TRUE(k_->all_finite(a, dim));
      ASSERT_TRUE(k_->all_finite(b, kRows * dim));
    }
  }
}

TEST_P(KernelsTest, AllFiniteFindsEveryBadValueAtEveryPlace) {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  float payload_nan;
  const uint32_t payload_bits = 0xff800001;
  std::memcpy(&payload_nan, &payload_bits, sizeof(payload_nan));
  for (size_t n = 0; n <= 67; ++n) {
    std::vector<float> values = Random(n + 2, 20);
    values.front() = nan;  // outside the range that is looked at
    values.back() = inf;
    ASSERT_TRUE(k_->all_finite(values.data() + 1, n)) << n;
    for (size_t i = 1; i <= n; ++i) {
      const float good = values[i];
      for (const float bad : {inf, -inf, nan, -nan, payload_nan}) {
        values[i] = bad;
        ASSERT_FALSE(k_->all_finite(values.data() + 1, n)) << "value " << i << " of " << n;
      }
      for (const float extreme : {std::numeric_limits<float>::max(), std::numeric_limits<float>::denorm_min(), -0.0f}) {
        values[i] = extreme;
        ASSERT_TRUE(k_->all_finite(values.data() + 1, n)) << "value " << i << " of " << n;
      }
      values[i] = good;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, KernelsTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(IsaName(info.param)); });

}  // namespace
}  // namespace longbow::kernels
