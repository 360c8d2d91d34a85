#include "filter/evaluate.h"

#include <arrow/api.h>
#include <arrow/extension/bool8.h>
#include <arrow/extension/json.h>
#include <arrow/util/decimal.h>
#include <arrow/util/float16.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdio>

#include "base/limits.h"

namespace longbow::filter {
namespace {

using Op = Predicate::Op;
using Array = std::shared_ptr<arrow::Array>;
using Batch = std::shared_ptr<arrow::RecordBatch>;

template <typename Builder, typename T>
Array ArrayOf(const std::vector<std::optional<T>>& values, std::shared_ptr<arrow::DataType> type) {
  Builder builder(std::move(type), arrow::default_memory_pool());
  for (const auto& value : values) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return *builder.Finish();
}

Batch One(const std::string& name, const Array& array) {
  return arrow::RecordBatch::Make(arrow::schema({arrow::field(name, array->type())}), array->length(), {array});
}

Predicate Leaf(std::string field, Op op, std::vector<std::string> values = {}) {
  return {op, std::move(field), std::move(values), {}};
}

// Rows that pass, as "0110".
std::string Passing(const Predicate& predicate, const Batch& rows) {
  const auto bound = BoundPredicate::Bind(predicate, *rows->schema());
  if (!bound.ok()) {
    return bound.status().ToString();
  }
  std::vector<uint64_t> bits(static_cast<size_t>(rows->num_rows()) / 64 + 2, 0);
  bound->Evaluate(*rows, bits.data(), 0);
  std::string text;
  for (size_t i = 0; i < static_cast<size_t>(rows->num_rows()); ++i) {
    text += (bits[i / 64] >> (i % 64) & 1) != 0 ? '1' : '0';
  }
  return text;
}

std::string Passing(Op op, std::vector<std::string> values, const Array& column) {
  return Passing(Leaf("f", op, std::move(values)), One("f", column));
}

std::string BindError(const Predicate& predicate, const Array& column) {
  const auto bound = BoundPredicate::Bind(predicate, *One("f", column)->schema());
  EXPECT_EQ(bound.status().code(), StatusCode::kInvalidArgument);
  return std::string(bound.status().message());
}

Array Int64s(const std::vector<std::optional<int64_t>>& values) {
  return ArrayOf<arrow::Int64Builder, int64_t>(values, arrow::int64());
}
Array Texts(const std::vector<std::optional<std::string>>& values) {
  return ArrayOf<arrow::StringBuilder, std::string>(values, arrow::utf8());
}

TEST(Evaluate, IntegersAgainstNumbersOfEveryForm) {
  const Array column = Int64s({9, 10, 11, {}, -1});
  EXPECT_EQ(Passing(Op::kEq, {"10"}, column), "01000");
  EXPECT_EQ(Passing(Op::kNe, {"10"}, column), "10101");
  EXPECT_EQ(Passing(Op::kLt, {"10.5"}, column), "11001");
  EXPECT_EQ(Passing(Op::kLe, {"10.5"}, column), "11001");
  EXPECT_EQ(Passing(Op::kGt, {"10.5"}, column), "00100");
  EXPECT_EQ(Passing(Op::kGe, {"9.5"}, column), "01100");
  EXPECT_EQ(Passing(Op::kGt, {"-0.5"}, column), "11100");
  EXPECT_EQ(Passing(Op::kLt, {"-0.5"}, column), "00001");
  EXPECT_EQ(Passing(Op::kEq, {"10.5"}, column), "00000");
  EXPECT_EQ(Passing(Op::kNe, {"10.5"}, column), "11101");
  EXPECT_EQ(Passing(Op::kEq, {"10.0"}, column), "01000");
  EXPECT_EQ(Passing(Op::kEq, {"1e1"}, column), "01000");
  EXPECT_EQ(Passing(Op::kEq, {"100e-1"}, column), "01000");
  EXPECT_EQ(Passing(Op::kLt, {"1e400"}, column), "11101");
  EXPECT_EQ(Passing(Op::kGt, {"-1e999999999999"}, column), "11101");
  EXPECT_EQ(Passing(Op::kGt, {"99999999999999999999"}, column), "00000");
  EXPECT_EQ(Passing(Op::kLe, {"99999999999999999999"}, column), "11101");
  EXPECT_EQ(Passing(Op::kIn, {"11", "-1", "2.5", "1e30"}, column), "00101");
  EXPECT_EQ(Passing(Op::kNotIn, {"11", "-1"}, column), "11000");
  EXPECT_EQ(Passing(Op::kIn, {}, column), "00000");
  EXPECT_EQ(Passing(Op::kNotIn, {}, column), "11101");
  EXPECT_EQ(Passing(Op::kBetween, {"9.5", "11"}, column), "01100");
  EXPECT_EQ(Passing(Op::kBetween, {"11", "9"}, column), "00000");
  EXPECT_EQ(Passing(Op::kIsNull, {}, column), "00010");
  EXPECT_EQ(Passing(Op::kIsNotNull, {}, column), "11101");
}

TEST(Evaluate, IntegersAtTheEndsOfTheirTypes) {
  const Array int64s = Int64s({INT64_MIN, -1, INT64_MAX});
  EXPECT_EQ(Passing(Op::kEq, {"9223372036854775807"}, int64s), "001");
  EXPECT_EQ(Passing(Op::kEq, {"9223372036854775808"}, int64s), "000");
  EXPECT_EQ(Passing(Op::kLt, {"-9223372036854775808"}, int64s), "000");
  EXPECT_EQ(Passing(Op::kLe, {"-9223372036854775808"}, int64s), "100");
  EXPECT_EQ(Passing(Op::kGt, {"9223372036854775806.5"}, int64s), "001");
  const Array uint64s = ArrayOf<arrow::UInt64Builder, uint64_t>({uint64_t{0}, UINT64_MAX}, arrow::uint64());
  EXPECT_EQ(Passing(Op::kGt, {"18446744073709551614"}, uint64s), "01");
  EXPECT_EQ(Passing(Op::kGe, {"-5"}, uint64s), "11");
  EXPECT_EQ(Passing(Op::kLt, {"-5"}, uint64s), "00");
  const Array uint8s = ArrayOf<arrow::UInt8Builder, uint8_t>({uint8_t{0}, uint8_t{200}, uint8_t{255}}, arrow::uint8());
  EXPECT_EQ(Passing(Op::kLe, {"255.5"}, uint8s), "111");
  EXPECT_EQ(Passing(Op::kGe, {"200"}, uint8s), "011");
  EXPECT_EQ(Passing(Op::kEq, {"256"}, uint8s), "000");
}

TEST(Evaluate, FloatsRoundTheValueToTheColumnsType) {
  const Array floats =
      ArrayOf<arrow::FloatBuilder, float>({0.1f, 0.2f, NAN, INFINITY, -INFINITY, {}, -0.0f}, arrow::float32());
  EXPECT_EQ(Passing(Op::kEq, {"0.1"}, floats), "1000000");
  EXPECT_EQ(Passing(Op::kLt, {"0.2"}, floats), "1000101");
  EXPECT_EQ(Passing(Op::kLe, {"0.2"}, floats), "1100101");
  EXPECT_EQ(Passing(Op::kGt, {"0.1"}, floats), "0101000");
  EXPECT_EQ(Passing(Op::kEq, {"0"}, floats), "0000001");
  EXPECT_EQ(Passing(Op::kGe, {"1e39"}, floats), "0001000");
  EXPECT_EQ(Passing(Op::kLt, {"1e39"}, floats), "1100101");
  EXPECT_EQ(Passing(Op::kLt, {"-1e39"}, floats), "0000100");
  EXPECT_EQ(Passing(Op::kLe, {"-1e39"}, floats), "0000100");
  EXPECT_EQ(Passing(Op::kGt, {"-1e39"}, floats), "1101001");
  EXPECT_EQ(Passing(Op::kEq, {"inf"}, floats), "0001000");
  EXPECT_EQ(Passing(Op::kLt, {"inf"}, floats), "1100101");
  EXPECT_EQ(Passing(Op::kGt, {"inf"}, floats), "0000000");
  EXPECT_EQ(Passing(Op::kGt, {"1e-60"}, floats), "1101000");
  EXPECT_EQ(Passing(Op::kIn, {"0.2", "inf"}, floats), "0101000");
  // NaN equals nothing and is neither above nor below anything: only the opposite of such a comparison holds.
  EXPECT_EQ(Passing(Op::kNe, {"0.1"}, floats), "0111101");
  EXPECT_EQ(Passing(Op::kNotIn, {"0.1"}, floats), "0111101");
  const Array doubles = ArrayOf<arrow::DoubleBuilder, double>({0.1, 0.5, {}}, arrow::float64());
  EXPECT_EQ(Passing(Op::kEq, {"0.1"}, doubles), "100");
  EXPECT_EQ(Passing(Op::kBetween, {"0.1", "0.4"}, doubles), "100");
  EXPECT_EQ(Passing(Op::kGt, {"+0.1"}, doubles), "010");
}

TEST(Evaluate, EveryFloat16OrdersAgainstItsNeighbours) {
  arrow::HalfFloatBuilder builder;
  std::vector<float> values;
  for (uint32_t bits = 0; bits < 0x7c00; ++bits) {
    for (const uint16_t sign : {0x0000, 0x8000}) {
      const auto half = arrow::util::Float16::FromBits(static_cast<uint16_t>(bits | sign));
      values.push_back(half.ToFloat());
      ASSERT_TRUE(builder.Append(half.bits()).ok());
    }
  }
  const Batch rows = One("f", *builder.Finish());
  for (size_t pivot = 0; pivot < values.size(); pivot += 977) {
    char exact[64];
    std::snprintf(exact, sizeof(exact), "%.30g", static_cast<double>(values[pivot]));
    for (const Op op : {Op::kLt, Op::kLe, Op::kEq, Op::kGe, Op::kGt}) {
      const std::string passing = Passing(Leaf("f", op, {exact}), rows);
      for (size_t i = 0; i < values.size(); ++i) {
        const bool expected = op == Op::kLt   ? values[i] < values[pivot]
                              : op == Op::kLe ? values[i] <= values[pivot]
                              : op == Op::kEq ? values[i] == values[pivot]
                              : op == Op::kGe ? values[i] >= values[pivot]
                                              : values[i] > values[pivot];
        ASSERT_EQ(passing[i] == '1', expected) << exact << " " << values[i] << " op " << static_cast<int>(op);
      }
    }
  }
}

TEST(Evaluate, Float16RoundsTheValue) {
  const auto half = [](float value) { return arrow::util::Float16(value).bits(); };
  const Array column =
      ArrayOf<arrow::HalfFloatBuilder, uint16_t>({half(0.1f), half(65504.0f), half(INFINITY), {}}, arrow::float16());
  EXPECT_EQ(Passing(Op::kEq, {"0.1"}, column), "1000");
  EXPECT_EQ(Passing(Op::kGt, {"70000"}, column), "0010");
  EXPECT_EQ(Passing(Op::kLe, {"70000"}, column), "1100");
  EXPECT_EQ(Passing(Op::kGe, {"65504"}, column), "0110");
}

TEST(Evaluate, Booleans) {
  const Array column = ArrayOf<arrow::BooleanBuilder, bool>({true, false, {}}, arrow::boolean());
  EXPECT_EQ(Passing(Op::kEq, {"true"}, column), "100");
  EXPECT_EQ(Passing(Op::kEq, {"FALSE"}, column), "010");
  EXPECT_EQ(Passing(Op::kNe, {"1"}, column), "010");
  EXPECT_EQ(Passing(Op::kLt, {"true"}, column), "010");
  EXPECT_EQ(Passing(Op::kGe, {"0"}, column), "110");
  EXPECT_EQ(Passing(Op::kIn, {"true", "false"}, column), "110");
  EXPECT_EQ(BindError(Leaf("f", Op::kEq, {"yes"}), column), "invalid bool value \"yes\" for field f");
}

TEST(Evaluate, TextOfEveryLayout) {
  const std::vector<std::optional<std::string>> values = {"apple", "applesauce with a long tail", "", {}, "Zebra"};
  const std::vector<Array> columns = {Texts(values),
                                      ArrayOf<arrow::LargeStringBuilder, std::string>(values, arrow::large_utf8()),
                                      ArrayOf<arrow::StringViewBuilder, std::string>(values, arrow::utf8_view()),
                                      ArrayOf<arrow::BinaryBuilder, std::string>(values, arrow::binary()),
                                      ArrayOf<arrow::LargeBinaryBuilder, std::string>(values, arrow::large_binary()),
                                      ArrayOf<arrow::BinaryViewBuilder, std::string>(values, arrow::binary_view())};
  for (const Array& column : columns) {
    SCOPED_TRACE(column->type()->ToString());
    EXPECT_EQ(Passing(Op::kEq, {"apple"}, column), "10000");
    EXPECT_EQ(Passing(Op::kNe, {"apple"}, column), "01101");
    EXPECT_EQ(Passing(Op::kGt, {"apple"}, column), "01000");
    EXPECT_EQ(Passing(Op::kLt, {"a"}, column), "00101");
    EXPECT_EQ(Passing(Op::kBetween, {"Z", "apple"}, column), "10001");
    EXPECT_EQ(Passing(Op::kIn, {"apple", ""}, column), "10100");
    EXPECT_EQ(Passing(Op::kContains, {"with a"}, column), "01000");
    EXPECT_EQ(Passing(Op::kContains, {""}, column), "11101");
    EXPECT_EQ(Passing(Op::kPrefix, {"apple"}, column), "11000");
    EXPECT_EQ(Passing(Op::kIsNull, {}, column), "00010");
    EXPECT_EQ(Passing(Op::kEq, {"Zebra"}, column->Slice(2)), "001");
  }
  const Array fixed =
      ArrayOf<arrow::FixedSizeBinaryBuilder, std::string>({"abc", {}, "abd"}, arrow::fixed_size_binary(3));
  EXPECT_EQ(Passing(Op::kGe, {"abd"}, fixed), "001");
  EXPECT_EQ(Passing(Op::kPrefix, {"ab"}, fixed->Slice(1)), "01");
}

TEST(Evaluate, TextComparesByUnsignedBytes) {
  const Array column = Texts({"é", "z"});
  EXPECT_EQ(Passing(Op::kGt, {"z"}, column), "10");
}

TEST(Evaluate, DatesAndTimes) {
  // 2025-03-01 is day 20148.
  const Array days = ArrayOf<arrow::Date32Builder, int32_t>({20147, 20148, 20149, {}}, arrow::date32());
  EXPECT_EQ(Passing(Op::kEq, {"2025-03-01"}, days), "0100");
  EXPECT_EQ(Passing(Op::kGe, {"2025-03-01"}, days), "0110");
  EXPECT_EQ(Passing(Op::kEq, {"20148"}, days), "0100");
  EXPECT_EQ(Passing(Op::kLt, {"2025-03-01T10:00:00Z"}, days), "1100");
  EXPECT_EQ(Passing(Op::kEq, {"2025-03-01T10:00:00Z"}, days), "0000");
  EXPECT_EQ(Passing(Op::kGt, {"1969-12-31"}, days), "1110");
  EXPECT_EQ(BindError(Leaf("f", Op::kEq, {"2025-02-29"}), days), "invalid date32 value \"2025-02-29\" for field f");
  const Array millis =
      ArrayOf<arrow::Date64Builder, int64_t>({20147 * 86'400'000ll, 20148 * 86'400'000ll}, arrow::date64());
  EXPECT_EQ(Passing(Op::kGe, {"2025-03-01"}, millis), "01");

  const int64_t ten = 20148 * 86'400ll + 36'000;  // 2025-03-01T10:00:00Z
  for (const auto& [unit, per_second] :
       std::vector<std::pair<arrow::TimeUnit::type, int64_t>>{{arrow::TimeUnit::SECOND, 1},
                                                              {arrow::TimeUnit::MILLI, 1'000},
                                                              {arrow::TimeUnit::MICRO, 1'000'000},
                                                              {arrow::TimeUnit::NANO, 1'000'000'000}}) {
    const Array column = ArrayOf<arrow::TimestampBuilder, int64_t>({ten * per_second - 1, ten * per_second, {}},
                                                                   arrow::timestamp(unit, "UTC"));
    SCOPED_TRACE(column->type()->ToString());
    for (const char* text : {"2025-03-01T10:00:00Z", "2025-03-01 10:00", "2025-03-01T12:00:00+02:00",
                             "2025-03-01t05:00:00.000-0500", "2025-03-01T11:00:00+01"}) {
      EXPECT_EQ(Passing(Op::kEq, {text}, column), "010") << text;
      EXPECT_EQ(Passing(Op::kLt, {text}, column), "100") << text;
    }
    EXPECT_EQ(Passing(Op::kEq, {std::to_string(ten * per_second)}, column), "010");
    EXPECT_EQ(Passing(Op::kGe, {"2025-03-01"}, column), "110");
    EXPECT_EQ(Passing(Op::kGt, {"2025-03-01T09:59:59.999999999"}, column), "010");
    for (const char* text :
         {"2025-03-01T", "2025-3-1", "2025-03-01T25:00", "2025-03-01T10:00:00X", "2025-03-01T10:00:00+25:00",
          "yesterday", "", "2025-13-01", "2025-03-01T10:00:00.1234567890"}) {
      EXPECT_NE(BindError(Leaf("f", Op::kEq, {text}), column).find("invalid timestamp["), std::string::npos) << text;
    }
  }
  const Array clock = ArrayOf<arrow::Time32Builder, int32_t>({36'000, 36'001}, arrow::time32(arrow::TimeUnit::SECOND));
  EXPECT_EQ(Passing(Op::kEq, {"10:00:00"}, clock), "10");
  EXPECT_EQ(Passing(Op::kGt, {"10:00:00.5"}, clock), "01");
  const Array nanos = ArrayOf<arrow::Time64Builder, int64_t>({36'000'000'000'000, 36'000'000'500'000},
                                                             arrow::time64(arrow::TimeUnit::NANO));
  EXPECT_EQ(Passing(Op::kEq, {"10:00:00.0005"}, nanos), "01");
  const Array spans = ArrayOf<arrow::DurationBuilder, int64_t>({5, -5}, arrow::duration(arrow::TimeUnit::SECOND));
  EXPECT_EQ(Passing(Op::kLt, {"0"}, spans), "01");
}

TEST(Evaluate, Decimals) {
  const auto check = [](const Array& column) {
    SCOPED_TRACE(column->type()->ToString());
    EXPECT_EQ(Passing(Op::kEq, {"1.5"}, column), "0100");
    EXPECT_EQ(Passing(Op::kGt, {"1.499"}, column), "0110");
    EXPECT_EQ(Passing(Op::kLe, {"-1.505"}, column), "0000");
    EXPECT_EQ(Passing(Op::kLe, {"-1.495"}, column), "1000");
    EXPECT_EQ(Passing(Op::kIn, {"200", "-1.50"}, column), "1010");
    EXPECT_EQ(Passing(Op::kLt, {"1e90"}, column), "1110");
    EXPECT_EQ(Passing(Op::kGt, {"1e90"}, column), "0000");
    EXPECT_EQ(Passing(Op::kNe, {"1.5"}, column->Slice(1)), "010");
  };
  check(ArrayOf<arrow::Decimal32Builder, arrow::Decimal32>(
      {arrow::Decimal32(-150), arrow::Decimal32(150), arrow::Decimal32(20000), {}}, arrow::decimal32(9, 2)));
  check(ArrayOf<arrow::Decimal64Builder, arrow::Decimal64>(
      {arrow::Decimal64(-150), arrow::Decimal64(150), arrow::Decimal64(20000), {}}, arrow::decimal64(18, 2)));
  check(ArrayOf<arrow::Decimal128Builder, arrow::Decimal128>(
      {arrow::Decimal128(-150), arrow::Decimal128(150), arrow::Decimal128(20000), {}}, arrow::decimal128(30, 2)));
  check(ArrayOf<arrow::Decimal256Builder, arrow::Decimal256>(
      {arrow::Decimal256(-150), arrow::Decimal256(150), arrow::Decimal256(20000), {}}, arrow::decimal256(60, 2)));
}

TEST(Evaluate, DictionariesAnswerForTheirValues) {
  // Values "a", null, "c"; rows a, null by value, c, null by index, a.
  const Array values = Texts({"a", {}, "c"});
  for (const auto& type : {arrow::int8(), arrow::uint16(), arrow::int32(), arrow::int64()}) {
    SCOPED_TRACE(type->ToString());
    std::unique_ptr<arrow::ArrayBuilder> builder = *arrow::MakeBuilder(type);
    for (const int index : {0, 1, 2, -1, 0}) {
      const auto scalar = *arrow::MakeScalar(type, std::max(index, 0));
      ASSERT_TRUE((index < 0 ? builder->AppendNull() : builder->AppendScalar(*scalar)).ok());
    }
    const Array column =
        *arrow::DictionaryArray::FromArrays(arrow::dictionary(type, arrow::utf8()), *builder->Finish(), values);
    EXPECT_EQ(Passing(Op::kEq, {"a"}, column), "10001");
    EXPECT_EQ(Passing(Op::kNe, {"a"}, column), "00100");
    EXPECT_EQ(Passing(Op::kPrefix, {"c"}, column->Slice(1)), "0100");
    EXPECT_EQ(Passing(Op::kIsNull, {}, column), "01010");
    EXPECT_EQ(Passing(Op::kIsNotNull, {}, column), "10101");
  }
  const Array ages = *arrow::DictionaryArray::FromArrays(
      ArrayOf<arrow::Int8Builder, int8_t>({int8_t{1}, int8_t{0}}, arrow::int8()), Int64s({7, 9}));
  EXPECT_EQ(Passing(Op::kGt, {"8"}, ages), "10");
}

TEST(Evaluate, ExtensionTypesAnswerForTheirStorage) {
  const Array json = arrow::ExtensionType::WrapArray(arrow::extension::json(arrow::utf8()), Texts({"{}", "[]", {}}));
  EXPECT_EQ(Passing(Op::kEq, {"[]"}, json), "010");
  EXPECT_EQ(Passing(Op::kIsNull, {}, json), "001");
}

TEST(Evaluate, LogicIsThreeValued) {
  const Batch rows = One("f", Int64s({1, {}, 3}));
  const Predicate one = Leaf("f", Op::kEq, {"1"});
  const Predicate three = Leaf("f", Op::kEq, {"3"});
  const auto node = [](Op op, std::vector<Predicate> children) { return Predicate{op, {}, {}, std::move(children)}; };
  EXPECT_EQ(Passing(node(Op::kNot, {one}), rows), "001");
  EXPECT_EQ(Passing(node(Op::kNot, {node(Op::kNot, {one})}), rows), "100");
  EXPECT_EQ(Passing(node(Op::kOr, {one, three}), rows), "101");
  EXPECT_EQ(Passing(node(Op::kAnd, {one, three}), rows), "000");
  EXPECT_EQ(Passing(node(Op::kNot, {node(Op::kAnd, {one, three})}), rows), "101");
  EXPECT_EQ(Passing(node(Op::kNot, {node(Op::kOr, {one, three})}), rows), "000");
  EXPECT_EQ(Passing(node(Op::kOr, {node(Op::kNot, {one}), Leaf("f", Op::kIsNull)}), rows), "011");
  EXPECT_EQ(Passing(node(Op::kNot, {Leaf("f", Op::kIsNull)}), rows), "101");
  EXPECT_EQ(Passing(node(Op::kAnd, {}), rows), "111");
  EXPECT_EQ(Passing(node(Op::kOr, {}), rows), "000");
  EXPECT_EQ(Passing(node(Op::kNot, {node(Op::kAnd, {})}), rows), "000");
  EXPECT_TRUE(BoundPredicate::Bind(Predicate(), *rows->schema())->MatchesAll());
  EXPECT_FALSE(BoundPredicate::Bind(one, *rows->schema())->MatchesAll());
  EXPECT_FALSE(BoundPredicate::Bind(node(Op::kOr, {}), *rows->schema())->MatchesAll());
}

TEST(Evaluate, AColumnThatABatchLacksIsNull) {
  const auto schema = arrow::schema({arrow::field("f", arrow::int64()), arrow::field("new", arrow::int64())});
  const Batch old_rows = One("f", Int64s({1, 2}));
  const auto passing = [&](const Predicate& predicate) {
    uint64_t bits = 0;
    BoundPredicate::Bind(predicate, *schema)->Evaluate(*old_rows, &bits, 0);
    return bits;
  };
  EXPECT_EQ(passing(Leaf("new", Op::kEq, {"1"})), 0u);
  EXPECT_EQ(passing(Leaf("new", Op::kNe, {"1"})), 0u);
  EXPECT_EQ(passing(Leaf("new", Op::kIsNull)), 3u);
  EXPECT_EQ(passing(Leaf("new", Op::kIsNotNull)), 0u);
  EXPECT_EQ(passing({Op::kNot, {}, {}, {Leaf("new", Op::kEq, {"1"})}}), 0u);
}

TEST(Evaluate, ABatchMayHoldTheColumnInAnotherForm) {
  const auto schema = arrow::schema({arrow::field("f", arrow::timestamp(arrow::TimeUnit::SECOND))});
  const auto bound = BoundPredicate::Bind(Leaf("f", Op::kGe, {"2025-03-01"}), *schema);
  const Array millis = ArrayOf<arrow::TimestampBuilder, int64_t>({20148 * 86'400'000ll - 1, 20148 * 86'400'000ll},
                                                                 arrow::timestamp(arrow::TimeUnit::MILLI));
  uint64_t bits = 0;
  bound->Evaluate(*One("f", millis), &bits, 0);
  EXPECT_EQ(bits, 2u);
  const auto nulls = One("f", *arrow::MakeArrayOfNull(arrow::null(), 3));
  bits = ~uint64_t{0};
  bound->Evaluate(*nulls, &bits, 0);
  EXPECT_EQ(bits, ~uint64_t{7});
}

TEST(Bind, RefusesWhatCannotBeAnswered) {
  const Array ints = Int64s({1});
  EXPECT_EQ(BindError({Op::kEq, "i64", {"10,20"}, {}}, ints), "unknown field \"i64\" in filter");
  const Batch rows = One("i64", ints);
  EXPECT_EQ(BoundPredicate::Bind(Leaf("i64", Op::kEq, {"10,20"}), *rows->schema()).status().message(),
            "invalid int64 value \"10,20\" for field i64");
  for (const char* text : {"", " 1", "1 ", "x", "true", "1e", "--1", ".", "0x10", "nan"}) {
    EXPECT_EQ(BindError(Leaf("f", Op::kEq, {text}), ints),
              "invalid int64 value \"" + std::string(text) + "\" for field f");
  }
  const Array floats = ArrayOf<arrow::FloatBuilder, float>({1.0f}, arrow::float32());
  for (const char* text : {"", "nan", "1,5", "+-1", "one"}) {
    EXPECT_EQ(BindError(Leaf("f", Op::kEq, {text}), floats),
              "invalid float32 value \"" + std::string(text) + "\" for field f");
  }
  EXPECT_EQ(BindError(Leaf("f", Op::kContains, {"1"}), ints),
            "operator contains does not apply to field f of type int64");
  EXPECT_EQ(BindError(Leaf("f", Op::kBetween, {"1"}), ints), "operator between needs 2 values, got 1 for field f");
  EXPECT_EQ(BindError(Leaf("f", Op::kEq, {}), ints), "operator = needs 1 value, got 0 for field f");
  const Array list = *arrow::MakeArrayOfNull(arrow::list(arrow::int64()), 1);
  EXPECT_NE(BindError(Leaf("f", Op::kEq, {"1"}), list).find("of type list<item: int64>"), std::string::npos);
  EXPECT_EQ(Passing(Op::kIsNull, {}, list), "1");
  EXPECT_NE(BindError({Op::kNot, {}, {}, {}}, ints).find("not needs 1 filter"), std::string::npos);
}

TEST(Bind, BoundsDepthAndSize) {
  const Array ints = Int64s({1});
  Predicate deep = Leaf("f", Op::kEq, {"1"});
  for (size_t i = 0; i + 1 < limits::kFilterDepthMax; ++i) {
    deep = {Op::kNot, {}, {}, {deep}};
  }
  EXPECT_TRUE(BoundPredicate::Bind(deep, *One("f", ints)->schema()).ok());
  EXPECT_NE(BindError({Op::kNot, {}, {}, {deep}}, ints).find("too deep"), std::string::npos);
  Predicate wide{Op::kOr, {}, {}, std::vector<Predicate>(limits::kFilterNodesMax, Leaf("f", Op::kEq, {"1"}))};
  EXPECT_NE(BindError(wide, ints).find("too large"), std::string::npos);
}

}  // namespace
}  // namespace longbow::filter
