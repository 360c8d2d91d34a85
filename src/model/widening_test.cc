#include "model/widening.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "model/schema.h"

namespace longbow {
namespace {

using Types = std::vector<std::shared_ptr<arrow::DataType>>;

const Types& AllTypes() {
  static const Types kTypes = {arrow::null(),
                               arrow::boolean(),
                               arrow::int8(),
                               arrow::int16(),
                               arrow::int32(),
                               arrow::int64(),
                               arrow::uint8(),
                               arrow::uint16(),
                               arrow::uint32(),
                               arrow::uint64(),
                               arrow::float16(),
                               arrow::float32(),
                               arrow::float64(),
                               arrow::utf8(),
                               arrow::large_utf8(),
                               arrow::binary(),
                               arrow::large_binary(),
                               arrow::date32(),
                               arrow::date64(),
                               arrow::time32(arrow::TimeUnit::SECOND),
                               arrow::time32(arrow::TimeUnit::MILLI),
                               arrow::time64(arrow::TimeUnit::MICRO),
                               arrow::time64(arrow::TimeUnit::NANO),
                               arrow::timestamp(arrow::TimeUnit::SECOND),
                               arrow::timestamp(arrow::TimeUnit::NANO),
                               arrow::timestamp(arrow::TimeUnit::NANO, "UTC"),
                               arrow::duration(arrow::TimeUnit::SECOND),
                               arrow::duration(arrow::TimeUnit::NANO),
                               arrow::decimal128(5, 2),
                               arrow::decimal128(6, 2),
                               arrow::decimal128(6, 3),
                               arrow::decimal128(7, 1),
                               arrow::decimal256(40, 2),
                               arrow::fixed_size_binary(4),
                               arrow::list(arrow::int32()),
                               arrow::list(arrow::int64()),
                               arrow::dictionary(arrow::int8(), arrow::utf8())};
  return kTypes;
}

TEST(Widening, TheTable) {
  const auto widens = [](const std::string& from) {
    std::string to;
    for (const auto& a : AllTypes()) {
      for (const auto& b : AllTypes()) {
        if (a->ToString() == from && IsWidening(*a, *b)) {
          to += (to.empty() ? "" : " ") + b->ToString();
        }
      }
    }
    return to;
  };
  EXPECT_EQ(widens("int8"), "int16 int32 int64");
  EXPECT_EQ(widens("int32"), "int64");
  EXPECT_EQ(widens("int64"), "");
  EXPECT_EQ(widens("uint8"), "int16 int32 int64 uint16 uint32 uint64");
  EXPECT_EQ(widens("uint32"), "int64 uint64");
  EXPECT_EQ(widens("uint64"), "");
  EXPECT_EQ(widens("halffloat"), "float double");
  EXPECT_EQ(widens("float"), "double");
  EXPECT_EQ(widens("double"), "");
  EXPECT_EQ(widens("string"), "large_string");
  EXPECT_EQ(widens("large_string"), "");
  EXPECT_EQ(widens("binary"), "large_binary");
  EXPECT_EQ(widens("date32[day]"), "date64[ms]");
  EXPECT_EQ(widens("date64[ms]"), "");
  EXPECT_EQ(widens("time32[s]"), "time32[ms] time64[us] time64[ns]");
  EXPECT_EQ(widens("time64[us]"), "time64[ns]");
  EXPECT_EQ(widens("timestamp[s]"), "");
  EXPECT_EQ(widens("duration[s]"), "");
  EXPECT_EQ(widens("decimal128(5, 2)"), "decimal128(6, 2) decimal128(6, 3) decimal256(40, 2)");
  EXPECT_EQ(widens("decimal128(6, 3)"), "");
  EXPECT_EQ(widens("bool"), "");
  EXPECT_EQ(widens("list<item: int32>"), "");
  const std::string anything = widens("null");
  EXPECT_GT(std::count(anything.begin(), anything.end(), ','), 0) << anything;
  EXPECT_EQ(anything.find("null"), std::string::npos) << anything;
}

// For every pair of the table and for values at the edges: there and back is the same value.
TEST(Widening, NoValueIsLost) {
  int pairs = 0;
  for (const auto& from : AllTypes()) {
    for (const auto& to : AllTypes()) {
      if (!IsWidening(*from, *to)) {
        continue;
      }
      ++pairs;
      std::shared_ptr<arrow::Array> values;
      if (from->id() == arrow::Type::NA) {
        values = *arrow::MakeArrayOfNull(from, 3);
      } else if (arrow::is_binary_like(from->id())) {
        arrow::BinaryBuilder builder;
        ASSERT_TRUE(builder.Append("").ok() && builder.AppendNull().ok() && builder.Append("text").ok());
        values = *(*builder.Finish())->View(from);
      } else {
        // Every bit pattern at either end: for integers, floats and decimals the edges of their range.
        const auto width = static_cast<size_t>(from->byte_width());
        std::string bytes(5 * width, '\0');
        bytes[0] = 1;
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(width), width, '\xff');
        std::fill_n(bytes.begin() + static_cast<std::ptrdiff_t>(2 * width), width - 1, '\xff');
        bytes[3 * width - 1] = '\x7f';
        bytes[4 * width - 1] = '\x80';
        const bool has_a_range = arrow::is_time(from->id()) || arrow::is_decimal(from->id());
        values = arrow::MakeArray(
            arrow::ArrayData::Make(from, has_a_range ? 1 : 5, {nullptr, arrow::Buffer::FromString(bytes)}));
      }
      const auto wide = Widen(values, to);
      ASSERT_TRUE(wide.ok()) << from->ToString() << " -> " << to->ToString() << ": " << wide.status().ToString();
      ASSERT_TRUE((*wide)->ValidateFull().ok());
      if (from->id() == arrow::Type::NA) {
        EXPECT_EQ((*wide)->null_count(), 3);
        continue;
      }
      const auto back = arrow::compute::Cast(**wide, from);
      ASSERT_TRUE(back.ok()) << from->ToString() << " <- " << to->ToString() << ": " << back.status().ToString();
      EXPECT_TRUE((*back)->Equals(values, arrow::EqualOptions::Defaults().nans_equal(true)))
          << from->ToString() << " -> " << to->ToString() << " of " << values->ToString() << " gave "
          << (*back)->ToString();
    }
  }
  EXPECT_GT(pairs, 60);
}

TEST(Widening, SchemasFollowTheWiderSide) {
  const auto of = [](const std::shared_ptr<arrow::DataType>& type) {
    return arrow::schema({arrow::field("id", arrow::int64()), arrow::field("x", type)});
  };
  const auto schema = *CollectionSchema::FromArrow(of(arrow::int16()));
  EXPECT_EQ(schema.version, 1u);
  const auto same = *schema.Merge(of(arrow::int8()));
  EXPECT_EQ(same.columns, schema.columns) << "narrower: the put follows";
  const auto wider = *schema.Merge(of(arrow::int32()));
  EXPECT_TRUE(wider.columns->field(1)->type()->Equals(arrow::int32()));
  EXPECT_EQ(wider.version, 2u);
  EXPECT_EQ(wider.Merge(of(arrow::int16()))->columns, wider.columns) << "and stays";
  const auto again = *CollectionSchema::FromArrow(wider.columns);
  EXPECT_EQ(again.version, 2u) << "kept where the schema is kept";
  EXPECT_EQ(CollectionSchema::FromFirstPut(wider.columns)->version, 1u) << "whose schema came from elsewhere";
  EXPECT_EQ(schema.Merge(of(arrow::float64())).status().message(),
            "schema mismatch: type mismatch for column \"x\": existing=int16, new=float64 (without losing anything the "
            "column takes int8 and uint8 too, and becomes int32 or int64 if that comes)");
  EXPECT_EQ(schema.Merge(of(arrow::list(arrow::int16()))).status().code(), StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace longbow
