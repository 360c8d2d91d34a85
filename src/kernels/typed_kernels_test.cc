// Every element type of every table that this machine can run, against sums of 113 bits.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <tuple>
#include <vector>

#include "kernels/dispatch.h"
#include "model/float16.h"

namespace longbow::kernels {
namespace {

__extension__ typedef __float128 Exact;

enum class Values { kOrdinary, kEdges };

using Bytes = std::vector<uint8_t>;

template <typename T>
void Append(Bytes* out, T value) {
  const auto bytes = std::bit_cast<std::array<uint8_t, sizeof(T)>>(value);
  out->insert(out->end(), bytes.begin(), bytes.end());
}

template <typename T>
T At(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(value));
  return value;
}

// Scalars in one element.
size_t Parts(ElementType type) { return type == ElementType::kComplex64 || type == ElementType::kComplex128 ? 2 : 1; }

// The type of a scalar of rows, and of the query that their kernels take.
ElementType ScalarOf(ElementType type) {
  return type == ElementType::kComplex64    ? ElementType::kFloat32
         : type == ElementType::kComplex128 ? ElementType::kFloat64
                                            : type;
}
ElementType QueryScalarOf(ElementType type) {
  const ElementType scalar = ScalarOf(type);
  return scalar == ElementType::kFloat16 || scalar == ElementType::kBFloat16 ? ElementType::kFloat32 : scalar;
}

Exact ScalarAt(ElementType type, const uint8_t* p) {
  switch (type) {
    case ElementType::kFloat16:
      return FloatFromHalf(At<uint16_t>(p));
    case ElementType::kBFloat16:
      return std::bit_cast<float>(static_cast<uint32_t>(At<uint16_t>(p)) << 16);
    case ElementType::kFloat64:
      return At<double>(p);
    case ElementType::kInt8:
      return At<int8_t>(p);
    case ElementType::kUInt8:
      return At<uint8_t>(p);
    case ElementType::kInt16:
      return At<int16_t>(p);
    case ElementType::kUInt16:
      return At<uint16_t>(p);
    case ElementType::kInt32:
      return At<int32_t>(p);
    case ElementType::kUInt32:
      return At<uint32_t>(p);
    case ElementType::kInt64:
      return At<int64_t>(p);
    case ElementType::kUInt64:
      return At<uint64_t>(p);
    default:
      return At<float>(p);
  }
}

class Random {
 public:
  // [n] scalars.
  Bytes Scalars(ElementType type, size_t n, Values values) {
    Bytes out;
    for (size_t i = 0; i < n; ++i) {
      AppendOne(type, values, &out);
    }
    return out;
  }

 private:
  template <typename Integer>
  void AppendInteger(Values values, Bytes* out) {
    using Limits = std::numeric_limits<Integer>;
    if (values == Values::kEdges) {
      constexpr Integer kEdges[] = {Limits::min(), Limits::max(), Limits::min() + 1, Limits::max() - 1, 0};
      return Append(out, kEdges[bits_() % 8 % 5]);
    }
    Append(out, static_cast<Integer>(bits_()));
  }

  void AppendOne(ElementType type, Values values, Bytes* out) {
    const float real = static_cast<float>(normal_(bits_)) * (values == Values::kEdges ? 1000.0f : 1.0f);
    switch (type) {
      case ElementType::kFloat16: {
        const auto half = static_cast<uint16_t>(bits_());
        // Any finite bits, subnormals among them; ordinary ones around 1.
        return Append<uint16_t>(out, values == Values::kEdges ? ((half & 0x7c00) == 0x7c00 ? half & 0xbfff : half)
                                                              : (half & 0x83ff) | 0x3c00);
      }
      case ElementType::kBFloat16:
        return Append(out, static_cast<uint16_t>(std::bit_cast<uint32_t>(real) >> 16));
      case ElementType::kFloat64:
        return Append(out, normal_(bits_) * (values == Values::kEdges ? 1e30 : 1));
      case ElementType::kInt8:
        return AppendInteger<int8_t>(values, out);
      case ElementType::kUInt8:
        return AppendInteger<uint8_t>(values, out);
      case ElementType::kInt16:
        return AppendInteger<int16_t>(values, out);
      case ElementType::kUInt16:
        return AppendInteger<uint16_t>(values, out);
      case ElementType::kInt32:
        return AppendInteger<int32_t>(values, out);
      case ElementType::kUInt32:
        return AppendInteger<uint32_t>(values, out);
      case ElementType::kInt64:
        return AppendInteger<int64_t>(values, out);
      case ElementType::kUInt64:
        return AppendInteger<uint64_t>(values, out);
      default:
        return Append(out, real);
    }
  }

  std::mt19937_64 bits_{20240611};
  std::normal_distribution<double> normal_;
};

struct Expected {
  Exact value = 0;
  Exact magnitude = 0;
};

// Integers of 64 bits as two of 32, whose products a sum of 113 bits adds exactly.
Expected Reference(ElementType query_type, const uint8_t* query, ElementType row_type, const uint8_t* row,
                   size_t scalars, bool l2) {
  Exact sums[3] = {};
  Exact magnitude = 0;
  for (size_t i = 0; i < scalars; ++i) {
    const Exact a = ScalarAt(query_type, query + i * ElementSizeBytes(query_type));
    const Exact b = ScalarAt(row_type, row + i * ElementSizeBytes(row_type));
    const Exact x = l2 ? a - b : a;
    const Exact y = l2 ? a - b : b;
    if (IsInteger(row_type) && IsInteger(query_type)) {
      const auto split = [](Exact v, Exact* high, Exact* low) {
        *high = static_cast<Exact>(static_cast<int64_t>(v / 4294967296.0));
        *low = v - *high * 4294967296.0;
      };
      Exact xh;
      Exact xl;
      Exact yh;
      Exact yl;
      split(x, &xh, &xl);
      split(y, &yh, &yl);
      sums[2] += xh * yh;
      sums[1] += xh * yl + xl * yh;
      sums[0] += xl * yl;
    } else {
      sums[0] += x * y;
    }
    magnitude += x * y < 0 ? -x * y : x * y;
  }
  return {sums[2] * 18446744073709551616.0 + sums[1] * 4294967296.0 + sums[0], magnitude};
}

class TypedKernelsTest : public testing::TestWithParam<std::tuple<Isa, ElementType>> {
 protected:
  void SetUp() override {
    auto table = KernelsOf(std::get<0>(GetParam()));
    ASSERT_TRUE(table.ok()) << table.status().ToString();
    type_ = std::get<1>(GetParam());
    k_ = &(*table)->typed->of[static_cast<size_t>(type_)];
  }

  const RowKernels& Of(bool l2, bool wide) const {
    return wide ? (l2 ? k_->wide_squared_l2 : k_->wide_inner_product) : (l2 ? k_->squared_l2 : k_->inner_product);
  }

  void ExpectRight(const Expected& expected, double got, bool wide) {
    if (IsInteger(type_) && !wide) {
      ASSERT_EQ(static_cast<double>(expected.value), got);
      return;
    }
    const bool as_float = QueryScalarOf(type_) == ElementType::kFloat32 && !wide;
    const double tolerance = (as_float ? 4e-6 : 1e-13) * static_cast<double>(expected.magnitude) + 1e-30;
    ASSERT_NEAR(static_cast<double>(expected.value), got, tolerance);
  }

  ElementType type_ = ElementType::kFloat32;
  const ElementKernels* k_ = nullptr;
  Random random_;
};

TEST_P(TypedKernelsTest, PairsOfEverySmallDimensionAndSomeLargeOnes) {
  std::vector<size_t> dims = {95, 96, 97, 127, 128, 129, 255, 256, 384, 1000, 4097};
  for (size_t dim = 0; dim <= 70; ++dim) {
    dims.push_back(dim);
  }
  for (const Values values : {Values::kOrdinary, Values::kEdges}) {
    for (const size_t dim : dims) {
      const size_t scalars = dim * Parts(type_);
      const ElementType scalar = ScalarOf(type_);
      // One byte off: no kernel may need alignment.
      Bytes row = random_.Scalars(scalar, scalars + 1, values);
      row.insert(row.begin(), 7);
      for (const bool wide : {false, true}) {
        const ElementType query_type = wide ? ElementType::kFloat64 : QueryScalarOf(type_);
        Bytes query = random_.Scalars(query_type, scalars + 1, wide ? Values::kOrdinary : values);
        query.insert(query.begin(), 7);
        for (const bool l2 : {true, false}) {
          SCOPED_TRACE(testing::Message() << "dim " << dim << (l2 ? " l2" : " ip") << (wide ? " wide" : "")
                                          << (values == Values::kEdges ? " edges" : ""));
          const Expected expected = Reference(query_type, query.data() + 1, scalar, row.data() + 1, scalars, l2);
          ExpectRight(expected, Of(l2, wide).pair(query.data() + 1, row.data() + 1, dim), wide);
          if (HasFatalFailure()) {
            return;
          }
        }
      }
    }
  }
}

class IntegerKernelsTest : public TypedKernelsTest {};

TEST_P(IntegerKernelsTest, OppositeEdgesOfTheRangeDoNotOverflow) {
  const size_t dim = 65536;
  const size_t size = ElementSizeBytes(type_);
  const bool is_signed = ScalarAt(type_, Bytes(8, 0xff).data()) < 0;
  Bytes low(dim * size, 0);
  Bytes high(dim * size, 0xff);
  for (size_t i = 0; is_signed && i < dim; ++i) {
    low[i * size + size - 1] = 0x80;
    high[i * size + size - 1] = 0x7f;
  }
  for (const bool l2 : {true, false}) {
    for (const Bytes* a : {&low, &high}) {
      for (const Bytes* b : {&low, &high}) {
        const Expected expected = Reference(type_, a->data(), type_, b->data(), dim, l2);
        ASSERT_EQ(static_cast<double>(expected.value), Of(l2, false).pair(a->data(), b->data(), dim));
      }
    }
  }
}

TEST_P(TypedKernelsTest, ManyRowsGiveTheBitsOfOneRow) {
  constexpr size_t kRows = 23;
  for (const size_t dim : {1, 3, 8, 15, 16, 17, 31, 33, 47, 64, 65, 100, 129, 384}) {
    const size_t scalars = dim * Parts(type_);
    const size_t row_bytes = dim * ElementSizeBytes(type_);
    const Bytes rows = random_.Scalars(ScalarOf(type_), kRows * scalars, Values::kOrdinary);
    std::vector<uint32_t> ids(kRows);
    for (uint32_t i = 0; i < kRows; ++i) {
      ids[i] = i * 7 % kRows;
    }
    for (const bool wide : {false, true}) {
      const Bytes query =
          random_.Scalars(wide ? ElementType::kFloat64 : QueryScalarOf(type_), scalars, Values::kOrdinary);
      for (size_t n = 0; n <= kRows; ++n) {
        for (const bool l2 : {true, false}) {
          const RowKernels& forms = Of(l2, wide);
          std::vector<double> got(n + 1, -7.5);
          forms.rows(query.data(), rows.data(), dim, n, got.data());
          for (size_t i = 0; i < n; ++i) {
            ASSERT_EQ(got[i], forms.pair(query.data(), rows.data() + i * row_bytes, dim)) << i << " of " << n;
          }
          forms.ids(query.data(), rows.data(), dim, ids.data(), n, got.data());
          for (size_t i = 0; i < n; ++i) {
            ASSERT_EQ(got[i], forms.pair(query.data(), rows.data() + ids[i] * row_bytes, dim)) << i << " of " << n;
          }
          ASSERT_EQ(got[n], -7.5) << "wrote past the end";
          // The rows of another type than the queries' cannot be queries: the one query three times.
          Bytes queries;
          for (int q = 0; q < 3; ++q) {
            queries.insert(queries.end(), query.begin(), query.end());
          }
          std::vector<double> many(3 * n + 1, -7.5);
          forms.rows(query.data(), rows.data(), dim, n, got.data());
          forms.many(queries.data(), 3, rows.data(), dim, n, many.data());
          for (size_t i = 0; i < 3 * n; ++i) {
            ASSERT_EQ(many[i], got[i % n]);
          }
          ASSERT_EQ(many[3 * n], -7.5);
        }
      }
    }
  }
}

TEST_P(TypedKernelsTest, Float32OfEveryElementIsRoundedOnce) {
  for (const Values values : {Values::kOrdinary, Values::kEdges}) {
    for (const size_t dim : {0, 1, 7, 16, 33, 200}) {
      const size_t scalars = dim * Parts(type_);
      const ElementType scalar = ScalarOf(type_);
      const Bytes row = random_.Scalars(scalar, scalars, values);
      const Bytes other = random_.Scalars(scalar, scalars, values);
      std::vector<double> centre(scalars);
      for (size_t i = 0; i < scalars; ++i) {
        centre[i] = static_cast<double>(ScalarAt(scalar, other.data() + i * ElementSizeBytes(scalar)));
      }
      for (const double* from : {static_cast<const double*>(nullptr), static_cast<const double*>(centre.data())}) {
        std::vector<float> got(scalars + 1, -7.5f);
        k_->to_float32(row.data(), from, dim, got.data());
        for (size_t i = 0; i < scalars; ++i) {
          const Exact value = ScalarAt(scalar, row.data() + i * ElementSizeBytes(scalar));
          const auto expected = static_cast<float>(value - (from == nullptr ? 0 : from[i]));
          // The difference itself is rounded to 53 bits or more before it is to 24.
          ASSERT_NEAR(got[i], expected, std::abs(expected) * 6e-8f) << i;
        }
        ASSERT_EQ(got[scalars], -7.5f);
      }
    }
  }
}

std::vector<ElementType> EveryType() {
  std::vector<ElementType> types;
  for (size_t i = 0; i < kElementTypes; ++i) {
    types.push_back(static_cast<ElementType>(i));
  }
  return types;
}

INSTANTIATE_TEST_SUITE_P(EveryIsaAndType, TypedKernelsTest,
                         testing::Combine(testing::ValuesIn(SupportedIsas()), testing::ValuesIn(EveryType())),
                         [](const auto& info) {
                           return std::string(IsaName(std::get<0>(info.param))) + "_" +
                                  ElementTypeName(std::get<1>(info.param));
                         });

INSTANTIATE_TEST_SUITE_P(EveryIsaAndInteger, IntegerKernelsTest,
                         testing::Combine(testing::ValuesIn(SupportedIsas()),
                                          testing::Values(ElementType::kInt8, ElementType::kUInt8, ElementType::kInt16,
                                                          ElementType::kUInt16, ElementType::kInt32,
                                                          ElementType::kUInt32, ElementType::kInt64,
                                                          ElementType::kUInt64)),
                         [](const auto& info) {
                           return std::string(IsaName(std::get<0>(info.param))) + "_" +
                                  ElementTypeName(std::get<1>(info.param));
                         });

class BitKernelsTest : public testing::TestWithParam<Isa> {
 protected:
  void SetUp() override { k_ = *KernelsOf(GetParam()); }
  const Kernels* k_ = nullptr;
  std::mt19937_64 random_{11};
};

TEST_P(BitKernelsTest, HammingAndJaccardCountBits) {
  for (size_t bytes = 0; bytes <= 200; ++bytes) {
    for (const uint64_t density : {0, 1, 2, 8}) {
      Bytes a(bytes + 1);
      Bytes b(bytes + 1);
      for (size_t i = 0; i < bytes; ++i) {
        a[i] = density == 0 ? 0 : static_cast<uint8_t>(density == 8 ? 0xff : random_());
        b[i] = static_cast<uint8_t>(density == 1 ? random_() & random_() : density == 0 ? 0 : random_());
      }
      int differ = 0;
      int common = 0;
      int either = 0;
      for (size_t i = 0; i < bytes; ++i) {
        differ += std::popcount(static_cast<uint8_t>(a[i] ^ b[i]));
        common += std::popcount(static_cast<uint8_t>(a[i] & b[i]));
        either += std::popcount(static_cast<uint8_t>(a[i] | b[i]));
      }
      const double jaccard = either == 0 ? 0 : 1 - static_cast<double>(common) / either;
      ASSERT_EQ(k_->typed->hamming.pair(a.data(), b.data(), bytes), differ) << bytes;
      ASSERT_EQ(k_->typed->jaccard.pair(a.data(), b.data(), bytes), jaccard) << bytes;
      ASSERT_EQ(k_->typed->jaccard.pair(b.data(), a.data(), bytes), jaccard) << bytes;
    }
  }
}

TEST_P(BitKernelsTest, BitmapsCombineAndCount) {
  const BitsetKernels& bits = *k_->bitsets;
  for (const size_t words : {0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 63, 64, 65, 1000}) {
    std::vector<uint64_t> a(words + 1);
    std::vector<uint64_t> b(words + 1);
    std::generate(a.begin(), a.end(), [&] { return random_(); });
    std::generate(b.begin(), b.end(), [&] { return random_() & random_(); });
    std::vector<uint64_t> both(words + 1, 7);
    std::vector<uint64_t> any(words + 1, 7);
    std::vector<uint64_t> in_place = a;
    bits.and_words(a.data(), b.data(), words, both.data());
    bits.or_words(a.data(), b.data(), words, any.data());
    bits.and_not_words(in_place.data(), b.data(), words, in_place.data());
    uint64_t count = 0;
    uint64_t common = 0;
    for (size_t i = 0; i < words; ++i) {
      ASSERT_EQ(both[i], a[i] & b[i]);
      ASSERT_EQ(any[i], a[i] | b[i]);
      ASSERT_EQ(in_place[i], a[i] & ~b[i]);
      count += static_cast<uint64_t>(std::popcount(a[i]));
      common += static_cast<uint64_t>(std::popcount(a[i] & b[i]));
    }
    ASSERT_EQ(both[words], 7u);
    ASSERT_EQ(any[words], 7u);
    ASSERT_EQ(in_place[words], a[words]);
    ASSERT_EQ(bits.count(a.data(), words), count);
    ASSERT_EQ(bits.count_and(a.data(), b.data(), words), common);
  }
}

INSTANTIATE_TEST_SUITE_P(EveryIsa, BitKernelsTest, testing::ValuesIn(SupportedIsas()),
                         [](const auto& info) { return std::string(IsaName(info.param)); });

}  // namespace
}  // namespace longbow::kernels
