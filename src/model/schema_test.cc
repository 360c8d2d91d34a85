#include "model/schema.h"

#include <arrow/api.h>
#include <arrow/extension_type.h>
#include <gtest/gtest.h>

#include <limits>

#include "base/limits.h"
#include "model/type_name.h"

namespace longbow {
namespace {

using Fields = arrow::FieldVector;

std::shared_ptr<arrow::Schema> SchemaOf(Fields fields, const std::string& metric = {}) {
  return arrow::schema(std::move(fields),
                       metric.empty() ? nullptr : arrow::key_value_metadata({"longbow.metric"}, {metric}));
}

std::shared_ptr<arrow::Field> Id(std::shared_ptr<arrow::DataType> type = arrow::int64()) {
  return arrow::field("id", std::move(type));
}
std::shared_ptr<arrow::Field> Vector(int dimension = 4, std::shared_ptr<arrow::DataType> type = arrow::float32()) {
  return arrow::field("vector", arrow::fixed_size_list(std::move(type), dimension));
}

CollectionSchema Make(Fields fields, const std::string& metric = {}) {
  auto result = CollectionSchema::FromArrow(SchemaOf(std::move(fields), metric));
  EXPECT_TRUE(result.ok()) << result.status().ToString();
  return *result;
}

void ExpectInvalid(const Status& status, const std::string& text) {
  EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
  EXPECT_NE(status.message().find(text), std::string_view::npos) << status.ToString() << "\nexpected: " << text;
}

TEST(Metric, NamesRoundTripAndOthersAreRefused) {
  for (const Metric metric :
       {Metric::kL2, Metric::kCosine, Metric::kInnerProduct, Metric::kHamming, Metric::kJaccard}) {
    EXPECT_EQ(*ParseMetric(MetricName(metric)), metric);
  }
  EXPECT_EQ(MetricName(Metric::kL2), "euclidean");
  ExpectInvalid(ParseMetric("manhattan").status(),
                "\"manhattan\": longbow.metric must be euclidean, cosine, dot_product, hamming or jaccard");
  EXPECT_FALSE(ParseMetric("").ok());
  EXPECT_FLOAT_EQ(ScoreOfDistance(Metric::kL2, 9.0f), 0.25f);
  EXPECT_FLOAT_EQ(ScoreOfDistance(Metric::kCosine, 0.25f), 0.75f);
  EXPECT_FLOAT_EQ(ScoreOfDistance(Metric::kInnerProduct, -3.0f), 3.0f);
  EXPECT_FLOAT_EQ(ScoreOfDistance(Metric::kHamming, 3), 0.25f);
  EXPECT_FLOAT_EQ(ScoreOfDistance(Metric::kJaccard, 0.25), 0.75f);
  // The product of two vectors of int64 at the edges of their range is more than a float32 score can say.
  EXPECT_EQ(ScoreOfDistance(Metric::kInnerProduct, -0x1p140), std::numeric_limits<float>::max());
  EXPECT_EQ(ScoreOfDistance(Metric::kInnerProduct, 0x1p140), std::numeric_limits<float>::lowest());
  EXPECT_GT(ScoreOfDistance(Metric::kL2, 0x1p144), 0.0f);
}

TEST(TypeName, SpellsTypesAsClientsKnowThem) {
  EXPECT_EQ(TypeName(*arrow::utf8()), "utf8");
  EXPECT_EQ(TypeName(*arrow::large_utf8()), "large_utf8");
  EXPECT_EQ(TypeName(*arrow::int64()), "int64");
  EXPECT_EQ(TypeName(*arrow::float64()), "float64");
  EXPECT_EQ(TypeName(*arrow::fixed_size_list(arrow::float32(), 128)), "fixed_size_list<item: float32>[128]");
  EXPECT_EQ(TypeName(*arrow::list(arrow::float16())), "list<item: float16>");
  EXPECT_EQ(TypeName(*arrow::dictionary(arrow::int8(), arrow::utf8())), "dictionary<values=utf8, indices=int8>");
  EXPECT_EQ(TypeName(*arrow::timestamp(arrow::TimeUnit::NANO)), "timestamp[ns]");
}

TEST(FromArrow, FindsRolesByName) {
  const CollectionSchema schema = Make({arrow::field("text", arrow::utf8()), Vector(16), Id()}, "cosine");
  EXPECT_EQ(schema.id_column, 2);
  EXPECT_EQ(schema.vector_column, 1);
  EXPECT_EQ(schema.dimension, 16u);
  EXPECT_EQ(schema.metric, Metric::kCosine);
  const CollectionSchema embedding = Make({arrow::field("embedding", arrow::fixed_size_list(arrow::int8(), 3))});
  EXPECT_EQ(embedding.id_column, -1);
  EXPECT_EQ(embedding.vector_column, 0);
  EXPECT_EQ(embedding.dimension, 3u);
  EXPECT_EQ(embedding.metric, Metric::kL2);
  const CollectionSchema both = Make({arrow::field("embedding", arrow::utf8()), Vector(2)});
  EXPECT_EQ(both.vector_column, 1);
  EXPECT_EQ(Make({arrow::field("x", arrow::int8())}).vector_column, -1);
}

TEST(FromArrow, AcceptsEveryIdAndElementType) {
  for (const auto& type : {arrow::int8(), arrow::int16(), arrow::int32(), arrow::int64(), arrow::uint8(),
                           arrow::uint16(), arrow::uint32(), arrow::uint64(), arrow::utf8(), arrow::large_utf8()}) {
    EXPECT_TRUE(CollectionSchema::FromArrow(SchemaOf({Id(type), Vector()})).ok()) << type->ToString();
  }
  for (const auto& type :
       {arrow::float16(), arrow::float32(), arrow::float64(), arrow::int8(), arrow::int16(), arrow::int32(),
        arrow::int64(), arrow::uint8(), arrow::uint16(), arrow::uint32(), arrow::uint64()}) {
    EXPECT_TRUE(CollectionSchema::FromArrow(SchemaOf({Vector(4, type)})).ok()) << type->ToString();
  }
}

TEST(FromArrow, MarksSayWhatArrowHasNoTypeFor) {
  const auto element = [](const std::shared_ptr<arrow::Field>& field, const std::string& key, const std::string& value,
                          bool at_field) {
    const auto marks = arrow::key_value_metadata({key}, {value});
    auto schema = at_field ? arrow::schema({field->WithMetadata(marks)}) : arrow::schema({field}, marks);
    auto result = CollectionSchema::FromArrow(schema);
    EXPECT_TRUE(result.ok()) << result.status().ToString();
    return result.ok() ? result->element : ElementType::kFloat32;
  };
  for (const bool at_field : {true, false}) {
    EXPECT_EQ(element(Vector(4, arrow::uint16()), "longbow.vector_type", "bfloat16", at_field), ElementType::kBFloat16);
    EXPECT_EQ(element(Vector(4, arrow::uint16()), "longbow.vector_type", "uint16", at_field), ElementType::kUInt16);
    EXPECT_EQ(element(Vector(4, arrow::int8()), "longbow.vector_type", "bfloat16", at_field), ElementType::kInt8);
    EXPECT_EQ(element(Vector(4, arrow::float64()), "longbow.complex", "true", at_field), ElementType::kFloat64);
  }
  const auto complex = arrow::key_value_metadata({"longbow.complex"}, {"true"});
  ExpectInvalid(CollectionSchema::FromArrow(arrow::schema({Vector(5)}, complex)).status(),
                "the list size must be even");
}

TEST(FromArrow, RefusesUnusableRoles) {
  const auto refuse = [](Fields fields, const std::string& text, const std::string& metric = {}) {
    ExpectInvalid(CollectionSchema::FromArrow(SchemaOf(std::move(fields), metric)).status(), text);
  };
  refuse({Id(arrow::float32())}, "column \"id\" of type float32 cannot be an id");
  refuse({Id(arrow::boolean())}, "cannot be an id");
  refuse({arrow::field("vector", arrow::list(arrow::float32()))}, "FixedSizeList is needed");
  refuse({arrow::field("embedding", arrow::utf8())}, "FixedSizeList is needed");
  refuse({Vector(4, arrow::utf8())}, "elements must be");
  refuse({Vector(4, arrow::boolean())}, "elements must be");
  refuse({Vector(0)}, "dimension must be 1 to 65536");
  refuse({Vector(65'537)}, "dimension must be 1 to 65536");
  refuse({Vector()}, "unknown metric \"manhattan\"", "manhattan");
  refuse({Vector()}, "longbow.metric=hamming compares packed bits", "hamming");
  refuse({Vector(4, arrow::int8())}, "must be a FixedSizeList of uint8, got fixed_size_list<item: int8>[4]", "jaccard");
}

TEST(FromArrow, RefusesUnusableColumnLists) {
  const auto refuse = [](Fields fields, const std::string& text) {
    ExpectInvalid(CollectionSchema::FromArrow(SchemaOf(std::move(fields))).status(), text);
  };
  refuse({}, "no columns");
  refuse({arrow::field("", arrow::int8())}, "column 0 has no name");
  refuse({arrow::field("a", arrow::int8()), arrow::field("a", arrow::int8())}, "duplicate column name \"a\"");
  refuse({arrow::field(std::string(limits::kNameSizeMaxBytes + 1, 'x'), arrow::int8())}, "too long");
  refuse({arrow::field("\xff\xfe", arrow::int8())}, "UTF-8");
  Fields many;
  for (size_t i = 0; i <= limits::kColumnsMax; ++i) {
    many.push_back(arrow::field("c" + std::to_string(i), arrow::int8()));
  }
  refuse(many, "too many columns");
  many.pop_back();
  EXPECT_TRUE(CollectionSchema::FromArrow(SchemaOf(many)).ok());
}

TEST(FromArrow, RefusesTypesWithoutAParquetForm) {
  const std::vector<std::shared_ptr<arrow::DataType>> refused = {
      arrow::sparse_union({arrow::field("a", arrow::int32())}),
      arrow::dense_union({arrow::field("a", arrow::int32())}),
      arrow::run_end_encoded(arrow::int32(), arrow::utf8()),
      arrow::month_interval(),
      arrow::day_time_interval(),
      arrow::month_day_nano_interval(),
      arrow::list_view(arrow::int32()),
      arrow::large_list_view(arrow::int32()),
      arrow::fixed_size_binary(0),
      arrow::fixed_size_list(arrow::int32(), 0),
      arrow::struct_({}),
      arrow::decimal128(20, -3),
      arrow::decimal128(5, 7),
      arrow::dictionary(arrow::int8(), arrow::list(arrow::int8())),
      arrow::dictionary(arrow::int8(), arrow::utf8_view()),
      arrow::list(arrow::struct_({arrow::field("deep", arrow::month_interval())})),
      arrow::map(arrow::utf8(), arrow::list_view(arrow::int8()))};
  for (const auto& type : refused) {
    ExpectInvalid(CollectionSchema::FromArrow(SchemaOf({arrow::field("odd", type)})).status(),
                  "column \"odd\" of type ");
  }
  const std::vector<std::shared_ptr<arrow::DataType>> accepted = {arrow::null(),
                                                                  arrow::boolean(),
                                                                  arrow::date32(),
                                                                  arrow::date64(),
                                                                  arrow::time32(arrow::TimeUnit::SECOND),
                                                                  arrow::timestamp(arrow::TimeUnit::NANO, "UTC"),
                                                                  arrow::duration(arrow::TimeUnit::MILLI),
                                                                  arrow::binary(),
                                                                  arrow::large_binary(),
                                                                  arrow::utf8_view(),
                                                                  arrow::fixed_size_binary(3),
                                                                  arrow::decimal32(5, 2),
                                                                  arrow::decimal256(50, 3),
                                                                  arrow::list(arrow::list(arrow::utf8())),
                                                                  arrow::map(arrow::utf8(), arrow::int32()),
                                                                  arrow::dictionary(arrow::int16(), arrow::utf8()),
                                                                  arrow::dictionary(arrow::int8(), arrow::int64())};
  for (const auto& type : accepted) {
    const auto result = CollectionSchema::FromArrow(SchemaOf({arrow::field("fine", type)}));
    EXPECT_TRUE(result.ok()) << result.status().ToString();
  }
}

TEST(Merge, ChangesNothingForTheSameReorderedOrFewerColumns) {
  const CollectionSchema schema = Make({Id(), Vector(), arrow::field("price", arrow::int64())}, "cosine");
  for (const auto& incoming :
       {SchemaOf({Id(), Vector(), arrow::field("price", arrow::int64())}),
        SchemaOf({arrow::field("price", arrow::int64()), Vector(), Id()}, "cosine"), SchemaOf({Vector(), Id()})}) {
    const auto merged = schema.Merge(incoming);
    ASSERT_TRUE(merged.ok()) << merged.status().ToString();
    EXPECT_EQ(merged->columns, schema.columns);
    EXPECT_EQ(merged->metric, Metric::kCosine);
  }
}

TEST(Merge, AddsColumnsAsNullableAndKeepsRoles) {
  const CollectionSchema schema = Make({Id(), Vector()});
  const auto merged = schema.Merge(SchemaOf({arrow::field("extra", arrow::utf8(), false), Vector(), Id()}));
  ASSERT_TRUE(merged.ok()) << merged.status().ToString();
  ASSERT_EQ(merged->columns->num_fields(), 3);
  EXPECT_EQ(merged->columns->field(2)->name(), "extra");
  EXPECT_TRUE(merged->columns->field(2)->nullable());
  EXPECT_EQ(merged->id_column, 0);
  EXPECT_EQ(merged->vector_column, 1);
  EXPECT_EQ(merged->dimension, 4u);
  // Once added its type is fixed too.
  ExpectInvalid(merged->Merge(SchemaOf({Id(), Vector(), arrow::field("extra", arrow::int8())})).status(),
                "schema mismatch: type mismatch for column \"extra\": existing=utf8, new=int8");
}

TEST(Merge, AColumnThatMayBeMissingBecomesNullable) {
  const CollectionSchema schema = Make({Id(), arrow::field("price", arrow::int64(), false)});
  const auto merged = schema.Merge(SchemaOf({Id()}));
  ASSERT_TRUE(merged.ok());
  EXPECT_TRUE(merged->columns->field(1)->nullable());
}

TEST(Merge, RefusesWhatTheContractRefuses) {
  const CollectionSchema schema = Make({Id(), Vector(16)}, "cosine");
  const auto refuse = [&](std::shared_ptr<arrow::Schema> incoming, const std::string& text) {
    ExpectInvalid(schema.Merge(incoming).status(), text);
  };
  refuse(SchemaOf({Id(arrow::utf8()), Vector(16)}),
         "schema mismatch: type mismatch for column \"id\": existing=int64, new=utf8");
  refuse(SchemaOf({Id(), Vector(4)}), "dimension mismatch: expected 16, got 4");
  refuse(SchemaOf({Id(), Vector(16, arrow::float64())}),
         "column \"vector\": existing=fixed_size_list<item: float32>[16], new=fixed_size_list<item: float64>[16]");
  refuse(SchemaOf({Vector(16)}), "column \"id\" is missing");
  refuse(SchemaOf({Id()}), "column \"vector\" is missing");
  refuse(SchemaOf({Id(), Vector(16)}, "euclidean"),
         "metric mismatch: the collection has longbow.metric=cosine, the put says euclidean");
  refuse(SchemaOf({Id(), Vector(16)}, "nonsense"), "unknown metric");
  refuse(SchemaOf({Id(), Vector(16), arrow::field("u", arrow::month_interval())}), "cannot be part of a collection");
  EXPECT_TRUE(schema.Merge(SchemaOf({Id(), Vector(16), arrow::field("embedding", arrow::utf8())})).ok());

  const CollectionSchema utf8 = Make({Id(arrow::utf8())});
  ExpectInvalid(utf8.Merge(SchemaOf({Id(arrow::binary())})).status(), "existing=utf8, new=binary");
  ExpectInvalid(utf8.Merge(SchemaOf({Id(arrow::utf8()), arrow::field("vector", arrow::utf8())})).status(),
                "cannot hold vectors");
  const CollectionSchema no_id = Make({Vector()});
  ExpectInvalid(no_id.Merge(SchemaOf({Id(), Vector()})).status(), "column \"id\" cannot be added");
  const CollectionSchema embedding = Make({arrow::field("embedding", arrow::fixed_size_list(arrow::float32(), 2))});
  ExpectInvalid(embedding.Merge(SchemaOf({embedding.columns->field(0), Vector(2)})).status(),
                "the collection's vectors are in column \"embedding\"");
}

TEST(Merge, AddsVectorsWithWhatThePutSaysOfThem) {
  const CollectionSchema plain = Make({Id()});
  const auto marks = arrow::key_value_metadata({"longbow.metric", "longbow.vector_type"}, {"cosine", "bfloat16"});
  const auto put = arrow::schema({Id(), Vector(4, arrow::uint16())}, marks);
  const auto merged = plain.Merge(put);
  ASSERT_TRUE(merged.ok()) << merged.status().ToString();
  EXPECT_EQ(merged->vector_column, 1);
  EXPECT_EQ(merged->dimension, 4u);
  EXPECT_EQ(merged->element, ElementType::kBFloat16);
  EXPECT_EQ(merged->metric, Metric::kCosine);
  EXPECT_EQ(merged->version, 2u);
  EXPECT_TRUE(merged->columns->field(1)->nullable());
  const auto again = CollectionSchema::FromArrow(merged->columns);  // as after a restart
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->element, ElementType::kBFloat16);
  EXPECT_EQ(again->metric, Metric::kCosine);
  EXPECT_EQ(again->version, 2u);
  EXPECT_TRUE(merged->Merge(put).ok());
  ExpectInvalid(merged->Merge(SchemaOf({Id()})).status(), "column \"vector\" is missing");
  const CollectionSchema stated = Make({Id()}, "euclidean");
  ExpectInvalid(stated.Merge(put).status(), "metric mismatch");
}

TEST(Merge, IgnoresTheNameOfAVectorsElement) {
  const CollectionSchema schema = Make({Vector(4)});
  const auto other =
      arrow::field("vector", arrow::fixed_size_list(arrow::field("element", arrow::float32(), false), 4));
  EXPECT_TRUE(schema.Merge(SchemaOf({other})).ok());
}

TEST(Merge, BoundsTheColumnsOfAllPutsTogether) {
  Fields many;
  for (size_t i = 0; i < limits::kColumnsMax; ++i) {
    many.push_back(arrow::field("c" + std::to_string(i), arrow::int8()));
  }
  const CollectionSchema schema = Make(many);
  ExpectInvalid(schema.Merge(SchemaOf({arrow::field("one_more", arrow::int8())})).status(), "too many columns");
}

}  // namespace
}  // namespace longbow
