// Rows against a schema: validation, keys, vectors.
#include <arrow/api.h>
#include <arrow/util/float16.h>
#include <gtest/gtest.h>

#include <bit>
#include <cfloat>
#include <cmath>
#include <limits>
#include <random>

#include "base/limits.h"
#include "model/float16.h"
#include "model/schema.h"

namespace longbow {
namespace {

using Array = std::shared_ptr<arrow::Array>;

template <typename Builder, typename T>
Array ArrayOf(const std::vector<std::optional<T>>& values) {
  Builder builder;
  for (const auto& value : values) {
    EXPECT_TRUE((value ? builder.Append(*value) : builder.AppendNull()).ok());
  }
  return *builder.Finish();
}

Array Floats(const std::vector<std::optional<float>>& values) { return ArrayOf<arrow::FloatBuilder, float>(values); }
Array Int64s(const std::vector<std::optional<int64_t>>& values) {
  return ArrayOf<arrow::Int64Builder, int64_t>(values);
}

Array Lists(const Array& values, int dimension) { return *arrow::FixedSizeListArray::FromArrays(values, dimension); }

std::shared_ptr<arrow::RecordBatch> Batch(std::vector<std::pair<std::string, Array>> columns) {
  arrow::FieldVector fields;
  arrow::ArrayVector arrays;
  for (auto& [name, array] : columns) {
    fields.push_back(arrow::field(name, array->type()));
    arrays.push_back(array);
  }
  return arrow::RecordBatch::Make(arrow::schema(fields), arrays[0]->length(), arrays);
}

CollectionSchema SchemaFor(const arrow::RecordBatch& rows) { return *CollectionSchema::FromArrow(rows.schema()); }

void ExpectInvalid(const std::shared_ptr<arrow::RecordBatch>& rows, const std::string& text) {
  const Status status = ValidateRows(SchemaFor(*rows), *rows);
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_NE(status.message().find(text), std::string_view::npos) << status.ToString() << "\nexpected: " << text;
}

TEST(ValidateRows, AcceptsGoodRowsAndSlices) {
  const auto rows = Batch({{"id", Int64s({1, 2, 3})}, {"vector", Lists(Floats({1, 2, 3, 4, -5, 0}), 2)}});
  EXPECT_TRUE(ValidateRows(SchemaFor(*rows), *rows).ok());
  EXPECT_TRUE(ValidateRows(SchemaFor(*rows), *rows->Slice(1, 1)).ok());
  EXPECT_TRUE(ValidateRows(SchemaFor(*rows), *rows->Slice(3)).ok());
}

TEST(ValidateRows, NamesColumnRowAndElement) {
  const float inf = std::numeric_limits<float>::infinity();
  ExpectInvalid(Batch({{"id", Int64s({1, {}, 3})}}), "column \"id\", row 1: the id is null");
  ExpectInvalid(Batch({{"vector", Lists(Floats({1, 2, 3, NAN}), 2)}}), "column \"vector\", row 1: element 1");
  ExpectInvalid(Batch({{"vector", Lists(Floats({1, 2, -inf, 2}), 2)}}),
                "row 1: element 0 of the vector is NaN, infinite");
  ExpectInvalid(Batch({{"vector", Lists(Floats({1, 2, 3, 4, 5, {}}), 2)}}), "row 2: element 1 of the vector is null");
  ExpectInvalid(Batch({{"vector", Lists(ArrayOf<arrow::DoubleBuilder, double>({1.0, 1e39}), 2)}}), "row 0: element 1");
  ExpectInvalid(Batch({{"vector", Lists(ArrayOf<arrow::DoubleBuilder, double>({1.0, NAN}), 2)}}), "row 0: element 1");
  const auto half_inf = ArrayOf<arrow::HalfFloatBuilder, uint16_t>({uint16_t{0x3c00}, uint16_t{0xfc00}});
  ExpectInvalid(Batch({{"vector", Lists(half_inf, 1)}}), "row 1: element 0");
  ExpectInvalid(
      Batch({{"id", ArrayOf<arrow::StringBuilder, std::string>({"a", std::string(limits::kIdSizeMaxBytes + 1, 'x')})}}),
      "column \"id\", row 1: the id is longer than 4096 bytes");
}

TEST(ValidateRows, FindsTheFirstBadElementWhereverItStands) {
  for (const int64_t at : {0, 1, 1023, 1024, 1025, 2047, 4095, 4999}) {
    std::vector<std::optional<float>> values(5000, 1.0f);
    values[static_cast<size_t>(at)] = NAN;
    values.back() = NAN;
    ExpectInvalid(Batch({{"vector", Lists(Floats(values), 1)}}), "row " + std::to_string(at) + ": element 0");
  }
}

TEST(ValidateRows, CountsRowsFromTheSliceNotFromTheBuffer) {
  const auto rows = Batch({{"vector", Lists(Floats({NAN, 1, 2, 3, 4, NAN}), 1)}});
  const CollectionSchema schema = SchemaFor(*rows);
  EXPECT_TRUE(ValidateRows(schema, *rows->Slice(1, 4)).ok());
  EXPECT_NE(ValidateRows(schema, *rows->Slice(1)).message().find("row 4"), std::string_view::npos);
}

TEST(ValidateRows, RefusesNullVectors) {
  arrow::FixedSizeListBuilder builder(arrow::default_memory_pool(), std::make_shared<arrow::FloatBuilder>(), 2);
  auto& values = static_cast<arrow::FloatBuilder&>(*builder.value_builder());
  ASSERT_TRUE(builder.Append().ok() && values.AppendValues({1, 2}).ok() && builder.AppendNull().ok());
  ExpectInvalid(Batch({{"vector", *builder.Finish()}}), "column \"vector\", row 1: the vector is null");
}

TEST(ValidateRows, RefusesRowsThatDoNotFitTheSchema) {
  const CollectionSchema schema = SchemaFor(*Batch({{"id", Int64s({1})}, {"vector", Lists(Floats({1, 2}), 2)}}));
  const auto check = [&](std::vector<std::pair<std::string, Array>> columns, const std::string& text) {
    const Status status = ValidateRows(schema, *Batch(std::move(columns)));
    EXPECT_NE(status.message().find(text), std::string_view::npos) << status.ToString();
  };
  check({{"id", Int64s({1})}, {"vector", Lists(Floats({1}), 1)}}, "dimension mismatch: expected 2, got 1");
  check({{"vector", Lists(Floats({1, 2}), 2)}}, "column \"id\" is missing");
  check({{"id", Int64s({1})}}, "column \"vector\" is missing");
  check({{"id", Floats({1})}, {"vector", Lists(Floats({1, 2}), 2)}}, "existing=int64, new=float32");
}

TEST(ValidateRows, RefusesNullsThatTheSchemaRulesOut) {
  const auto schema = arrow::schema({arrow::field("price", arrow::int64(), false)});
  const auto rows = arrow::RecordBatch::Make(schema, 2, {Int64s({1, {}})});
  ExpectInvalid(rows, "declares not null");
  const auto item = arrow::field("item", arrow::int64(), false);
  const auto list = arrow::struct_({item});
  const Array inner = *arrow::StructArray::Make({Int64s({1, {}})}, {item});
  const auto nested = arrow::RecordBatch::Make(arrow::schema({arrow::field("s", list)}), 2, {inner});
  EXPECT_EQ(ValidateRows(SchemaFor(*nested), *nested).code(), StatusCode::kInvalidArgument);
}

TEST(ValidateRows, RefusesBrokenArrowData) {
  // A string column whose offsets point past its data.
  const std::vector<int32_t> offsets = {0, 4, 1000};
  const auto data = arrow::ArrayData::Make(
      arrow::utf8(), 2, {nullptr, arrow::Buffer::Wrap(offsets), arrow::Buffer::FromString("abcdefgh")});
  ExpectInvalid(Batch({{"text", arrow::MakeArray(data)}}), "invalid Arrow data");
  const auto bad_utf8 = ArrayOf<arrow::StringBuilder, std::string>({"\xc3\x28"});
  ExpectInvalid(Batch({{"text", bad_utf8}}), "invalid Arrow data");
}

TEST(Keys, IntegersKeepTheirBitsAndTextItsBytes) {
  EXPECT_EQ(KeyAt(*Int64s({7, -1}), 1), RowKey(uint64_t{0xffffffffffffffff}));
  EXPECT_EQ(KeyAt(*ArrayOf<arrow::Int8Builder, int8_t>({int8_t{-1}}), 0), RowKey(uint64_t{0xffffffffffffffff}));
  EXPECT_EQ(KeyAt(*ArrayOf<arrow::UInt32Builder, uint32_t>({uint32_t{4'000'000'000}}), 0),
            RowKey(uint64_t{4'000'000'000}));
  EXPECT_EQ(KeyAt(*ArrayOf<arrow::StringBuilder, std::string>({"a", "b"})->Slice(1), 0), RowKey(std::string("b")));
  EXPECT_EQ(KeyAt(*ArrayOf<arrow::LargeStringBuilder, std::string>({"doc"}), 0), RowKey(std::string("doc")));
}

TEST(Keys, TextIsReadAsTheIdColumnsType) {
  const auto parse = [](std::shared_ptr<arrow::DataType> type, const std::string& text) {
    return ParseKey(*CollectionSchema::FromArrow(arrow::schema({arrow::field("id", type)})), text);
  };
  EXPECT_EQ(*parse(arrow::int64(), "-1"), RowKey(uint64_t{0xffffffffffffffff}));
  EXPECT_EQ(*parse(arrow::int32(), "7"), RowKey(uint64_t{7}));
  EXPECT_EQ(*parse(arrow::uint64(), "18446744073709551615"), RowKey(uint64_t{0xffffffffffffffff}));
  EXPECT_EQ(*parse(arrow::utf8(), "7"), RowKey(std::string("7")));
  for (const char* text : {"", "x", "7x", " 7", "1.5", "3000000000"}) {
    EXPECT_EQ(parse(arrow::int32(), text).status().code(), StatusCode::kInvalidArgument) << text;
  }
  EXPECT_EQ(parse(arrow::uint8(), "-1").status().message(), "invalid uint8 id \"-1\"");
  const CollectionSchema no_id = *CollectionSchema::FromArrow(arrow::schema({arrow::field("a", arrow::int8())}));
  EXPECT_EQ(*ParseKey(no_id, "12"), RowKey(uint64_t{12}));
  EXPECT_FALSE(ParseKey(no_id, "doc").ok());
}

TEST(Keys, ShownAsNumbers) {
  EXPECT_EQ(ShownId(uint64_t{9}, 3), 9u);
  EXPECT_EQ(ShownId(std::string("42"), 3), 42u);
  EXPECT_EQ(ShownId(std::string("doc-3"), 3), 3u);
  EXPECT_EQ(ShownId(std::string("99999999999999999999"), 3), 3u);
  EXPECT_EQ(ShownId(std::string(""), 3), 3u);
}

TEST(FloatFromHalf, AgreesWithArrowOnEveryInput) {
  for (uint32_t bits = 0; bits < 0x10000; ++bits) {
    const float expected = arrow::util::Float16::FromBits(static_cast<uint16_t>(bits)).ToFloat();
    const float actual = FloatFromHalf(static_cast<uint16_t>(bits));
    if (std::isnan(expected)) {
      EXPECT_TRUE(std::isnan(actual)) << bits;
    } else {
      EXPECT_EQ(std::bit_cast<uint32_t>(actual), std::bit_cast<uint32_t>(expected)) << bits;
    }
  }
}

// Values 0, 1, 2 ... in every element type, whole and sliced, with a child array that is a slice itself.
template <typename Builder, typename T>
void CheckCopy(T (*convert)(int)) {
  Builder builder;
  for (int i = 0; i < 31; ++i) {
    ASSERT_TRUE(builder.Append(convert(i)).ok());
  }
  const Array child = (*builder.Finish())->Slice(1);  // 1, 2, ... 30
  const auto rows = Batch({{"vector", Lists(child, 3)}});
  const CollectionSchema schema = SchemaFor(*rows);
  for (const auto& [offset, length] : std::vector<std::pair<int64_t, int64_t>>{{0, 10}, {1, 9}, {4, 3}, {10, 0}}) {
    std::vector<T> out(static_cast<size_t>(length) * 3 + 1, convert(99));
    const auto slice = rows->Slice(offset, length);
    ASSERT_TRUE(ValidateRows(schema, *slice).ok());
    ASSERT_TRUE(CopyVectors(schema, *slice, out.data()).ok());
    for (int64_t i = 0; i < length * 3; ++i) {
      EXPECT_EQ(out[static_cast<size_t>(i)], convert(static_cast<int>(1 + offset * 3 + i)));
    }
    EXPECT_EQ(out.back(), convert(99));
  }
}

TEST(CopyVectors, KeepsEveryElementTypeAndRespectsSlices) {
  CheckCopy<arrow::FloatBuilder, float>([](int i) { return static_cast<float>(i); });
  CheckCopy<arrow::DoubleBuilder, double>([](int i) { return static_cast<double>(i); });
  CheckCopy<arrow::HalfFloatBuilder, uint16_t>(
      [](int i) { return arrow::util::Float16(static_cast<float>(i)).bits(); });
  CheckCopy<arrow::Int8Builder, int8_t>([](int i) { return static_cast<int8_t>(i); });
  CheckCopy<arrow::UInt8Builder, uint8_t>([](int i) { return static_cast<uint8_t>(i); });
  CheckCopy<arrow::Int16Builder, int16_t>([](int i) { return static_cast<int16_t>(i); });
  CheckCopy<arrow::UInt16Builder, uint16_t>([](int i) { return static_cast<uint16_t>(i); });
  CheckCopy<arrow::Int32Builder, int32_t>([](int i) { return static_cast<int32_t>(i); });
  CheckCopy<arrow::UInt32Builder, uint32_t>([](int i) { return static_cast<uint32_t>(i); });
  CheckCopy<arrow::Int64Builder, int64_t>([](int i) { return static_cast<int64_t>(i); });
  CheckCopy<arrow::UInt64Builder, uint64_t>([](int i) { return static_cast<uint64_t>(i); });
}

}  // namespace
}  // namespace longbow
