#include "storage/segment_file.h"

#include <arrow/api.h>
#include <arrow/compute/cast.h>
#include <arrow/extension/uuid.h>
#include <arrow/json/from_string.h>
#include <arrow/util/key_value_metadata.h>
#include <gtest/gtest.h>

#include "base/fault_file_system.h"
#include "base/memory_file_system.h"
#include "base/random.h"

namespace longbow::storage {
namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

constexpr const char* kPath = "segment.parquet";

std::shared_ptr<arrow::Array> FromJson(const std::shared_ptr<arrow::DataType>& type, const std::string& json) {
  return arrow::json::ArrayFromJSONString(type, json).ValueOrDie();
}

Batches RoundTrip(const std::shared_ptr<arrow::Schema>& schema, const Batches& batches) {
  MemoryFileSystem fs;
  const Result<FileDigest> digest = WriteSegmentFile(fs, kPath, schema, batches);
  EXPECT_TRUE(digest.ok()) << digest.status().ToString();
  if (!digest.ok()) {
    return {};
  }
  const Result<Batches> read = ReadSegmentFile(fs, kPath, *digest);
  EXPECT_TRUE(read.ok()) << read.status().ToString();
  return read.ok() ? *read : Batches();
}

// As one array, dictionaries decoded: batches may be cut elsewhere and dictionaries numbered otherwise.
std::shared_ptr<arrow::Array> Whole(const Batches& batches, int column) {
  arrow::ArrayVector chunks;
  for (const auto& batch : batches) {
    std::shared_ptr<arrow::Array> array = batch->column(column);
    if (array->type_id() == arrow::Type::DICTIONARY) {
      array = arrow::compute::Cast(*array, static_cast<const arrow::DictionaryType&>(*array->type()).value_type())
                  .ValueOrDie();
    }
    chunks.push_back(array);
  }
  return arrow::Concatenate(chunks).ValueOrDie();
}

void ExpectExact(const std::shared_ptr<arrow::Schema>& schema, const Batches& batches) {
  const Batches read = RoundTrip(schema, batches);
  ASSERT_FALSE(read.empty());
  for (const auto& batch : read) {
    EXPECT_TRUE(batch->schema()->Equals(*schema, /*check_metadata=*/true));
    EXPECT_TRUE(batch->ValidateFull().ok()) << batch->ValidateFull().ToString();
    for (int i = 0; i < schema->num_fields(); ++i) {
      EXPECT_TRUE(batch->column(i)->type()->Equals(*schema->field(i)->type(), /*check_metadata=*/true))
          << batch->column(i)->type()->ToString();
    }
  }
  for (int i = 0; i < schema->num_fields(); ++i) {
    const auto expected = Whole(batches, i);
    const auto got = Whole(read, i);
    EXPECT_TRUE(got->Equals(*expected)) << "expected " << expected->ToString() << "\ngot " << got->ToString();
  }
}

struct TypeCase {
  std::shared_ptr<arrow::DataType> type;
  const char* json;
};

std::vector<TypeCase> TypeCases() {
  const auto metadata = arrow::key_value_metadata({{"unit", "m"}});
  return {
      {arrow::int8(), "[-128, null, 127]"},
      {arrow::uint8(), "[0, null, 255]"},
      {arrow::int16(), "[-32768, null, 32767]"},
      {arrow::uint16(), "[0, null, 65535]"},
      {arrow::int32(), "[-2147483648, null, 2147483647]"},
      {arrow::uint32(), "[0, null, 4294967295]"},
      {arrow::int64(), "[-9223372036854775808, null, 9223372036854775807]"},
      {arrow::uint64(), "[0, null, 18446744073709551615]"},
      {arrow::float16(), "[1.5, null, -0.25]"},
      {arrow::float32(), "[3.4e38, null, -0.0]"},
      {arrow::float64(), "[1e-308, null, 1.7e308]"},
      {arrow::boolean(), "[true, null, false]"},
      {arrow::utf8(), R"(["a", null, ""])"},
      {arrow::large_utf8(), R"(["ä", null, ""])"},
      {arrow::utf8_view(), R"(["a", null, "longer than twelve bytes"])"},
      {arrow::binary(), R"(["a", null, ""])"},
      {arrow::large_binary(), R"(["a", null, ""])"},
      {arrow::binary_view(), R"(["a", null, "longer than twelve bytes"])"},
      {arrow::fixed_size_binary(3), R"(["abc", null, "def"])"},
      {arrow::date32(), "[-1, null, 20000]"},
      {arrow::date64(), "[-86400000, null, 1728000000000]"},
      {arrow::time32(arrow::TimeUnit::SECOND), "[0, null, 86399]"},
      {arrow::time32(arrow::TimeUnit::MILLI), "[0, null, 86399999]"},
      {arrow::time64(arrow::TimeUnit::MICRO), "[0, null, 86399999999]"},
      {arrow::time64(arrow::TimeUnit::NANO), "[0, null, 86399999999999]"},
      {arrow::timestamp(arrow::TimeUnit::SECOND), "[-1, null, 1700000000]"},
      {arrow::timestamp(arrow::TimeUnit::SECOND, "Europe/Berlin"), "[-1, null, 1700000000]"},
      {arrow::timestamp(arrow::TimeUnit::MILLI, "UTC"), "[-1, null, 1700000000000]"},
      {arrow::timestamp(arrow::TimeUnit::MICRO, "+02:00"), "[-1, null, 1700000000000000]"},
      {arrow::timestamp(arrow::TimeUnit::NANO), "[-1, null, 1700000000000000001]"},
      {arrow::timestamp(arrow::TimeUnit::NANO, "Asia/Tokyo"), "[-1, null, 9223372036854775807]"},
      {arrow::duration(arrow::TimeUnit::SECOND), "[-1, null, 5]"},
      {arrow::duration(arrow::TimeUnit::NANO), "[-1, null, 5]"},
      {arrow::decimal32(8, 2), R"(["123456.78", null, "-0.01"])"},
      {arrow::decimal64(12, 2), R"(["1234567890.12", null, "-0.01"])"},
      {arrow::decimal128(38, 10), R"(["1234567890123456789012345678.0123456789", null, "-0.0000000001"])"},
      {arrow::decimal256(60, 2), R"(["1.23", null, "-4.56"])"},
      {arrow::null(), "[null, null, null]"},
      {arrow::fixed_size_list(arrow::float32(), 2), "[[1, 2], null, [3, null]]"},
      {arrow::fixed_size_list(arrow::float16(), 3), "[[1, 2, 3], null, [4, 5, 6]]"},
      {arrow::fixed_size_list(arrow::field("x", arrow::int8(), false, metadata), 2), "[[1, 2], null, [3, 4]]"},
      {arrow::fixed_size_list(arrow::uint64(), 1), "[[18446744073709551615], null, [1]]"},
      {arrow::fixed_size_list(arrow::boolean(), 2), "[[true, false], null, [null, true]]"},
      {arrow::fixed_size_list(arrow::utf8(), 2), R"([["a", "b"], null, [null, ""]])"},
      {arrow::fixed_size_list(arrow::timestamp(arrow::TimeUnit::SECOND, "UTC"), 2), "[[1, 2], null, [3, null]]"},
      {arrow::fixed_size_list(arrow::decimal128(10, 2), 2), R"([["1.00", "2.00"], null, ["3.00", null]])"},
      {arrow::fixed_size_list(arrow::fixed_size_list(arrow::int8(), 2), 2),
       "[[[1, 2], [3, 4]], null, [[5, 6], [7, 8]]]"},
      {arrow::list(arrow::int16()), "[[1, 2], null, []]"},
      {arrow::list(arrow::date64()), "[[86400000, null], null, []]"},
      {arrow::large_list(arrow::field("x", arrow::utf8())), R"([["a", null], null, []])"},
      {arrow::list(arrow::list(arrow::time32(arrow::TimeUnit::SECOND))), "[[[1], []], null, [null, [2, null]]]"},
      {arrow::struct_({arrow::field("a", arrow::int8()), arrow::field("b", arrow::large_utf8(), true, metadata)}),
       R"([{"a": 1, "b": "x"}, null, {"a": null, "b": "y"}])"},
      {arrow::map(arrow::utf8(), arrow::timestamp(arrow::TimeUnit::SECOND)), R"([[["a", 1]], null, []])"},
      {arrow::dictionary(arrow::int8(), arrow::utf8()), R"(["x", null, "y"])"},
      {arrow::dictionary(arrow::uint16(), arrow::large_utf8()), R"(["x", null, "y"])"},
      {arrow::dictionary(arrow::int64(), arrow::binary()), R"(["x", null, "y"])"},
      {arrow::dictionary(arrow::int32(), arrow::int64()), "[1, null, 1]"},
      {arrow::dictionary(arrow::int8(), arrow::float64(), /*ordered=*/true), "[1.5, null, 2.5]"},
  };
}

TEST(SegmentFile, BringsBackEveryTypeExactly) {
  for (const TypeCase& c : TypeCases()) {
    SCOPED_TRACE(c.type->ToString());
    const auto schema =
        arrow::schema({arrow::field("c", c.type)}, arrow::key_value_metadata({{"longbow.metric", "cosine"}}));
    const auto array = FromJson(c.type, c.json);
    const auto whole = arrow::RecordBatch::Make(schema, 3, {array});
    ExpectExact(schema, {whole});
    ExpectExact(schema, {whole, whole->Slice(1, 2), whole->Slice(2, 0), whole->Slice(0, 1)});
  }
}

TEST(SegmentFile, BringsBackNestedDictionariesAndExtensions) {
  const auto words = FromJson(arrow::dictionary(arrow::int8(), arrow::utf8()), R"(["x", null, "y"])");
  const auto nested = arrow::StructArray::Make({words}, std::vector<std::string>{"d"}).ValueOrDie();
  const auto uuids = arrow::ExtensionType::WrapArray(
      arrow::extension::uuid(),
      FromJson(arrow::fixed_size_binary(16), R"(["0123456789abcdef", null, "fedcba9876543210"])"));
  const auto schema = arrow::schema({arrow::field("s", nested->type()), arrow::field("u", uuids->type()),
                                     arrow::field("n", arrow::int32(), /*nullable=*/false)});
  const auto batch = arrow::RecordBatch::Make(schema, 3, {nested, uuids, FromJson(arrow::int32(), "[1, 2, 3]")});
  const Batches read = RoundTrip(schema, {batch});
  ASSERT_EQ(read.size(), 1u);
  EXPECT_TRUE(read[0]->schema()->Equals(*schema, true));
  EXPECT_TRUE(read[0]->column(0)->type()->Equals(*nested->type(), true));
  EXPECT_EQ(read[0]->column(0)->GetScalar(2).ValueOrDie()->ToString(), nested->GetScalar(2).ValueOrDie()->ToString());
  EXPECT_TRUE(read[0]->column(1)->Equals(*uuids));
  EXPECT_TRUE(read[0]->column(2)->Equals(*batch->column(2)));
}

// More rows than a row group, cut in odd places, with dictionaries that differ from batch to batch.
TEST(SegmentFile, KeepsOrderOverManyBatchesAndRowGroups) {
  Random random(3);
  const auto schema = arrow::schema({arrow::field("id", arrow::int64()), arrow::field("a.b", arrow::utf8()),
                                     arrow::field("word", arrow::dictionary(arrow::int8(), arrow::utf8())),
                                     arrow::field("v.w", arrow::fixed_size_list(arrow::float32(), 4))});
  Batches batches;
  int64_t id = 0;
  for (int b = 0; b < 14; ++b) {
    const auto rows = static_cast<int64_t>(random.Below(40'000));
    arrow::Int64Builder ids;
    arrow::StringBuilder names;
    arrow::Int8Builder words;
    arrow::FloatBuilder values;
    for (int64_t row = 0; row < rows; ++row) {
      ASSERT_TRUE(ids.Append(id++).ok());
      ASSERT_TRUE(names.Append(std::to_string(id % 1'000)).ok());
      ASSERT_TRUE((id % 5 == 0 ? words.AppendNull() : words.Append(static_cast<int8_t>(id % 3))).ok());
      for (int d = 0; d < 4; ++d) {
        ASSERT_TRUE(values.Append(static_cast<float>(random.Fraction())).ok());
      }
    }
    const auto dictionary = FromJson(arrow::utf8(), b % 2 == 0 ? R"(["a", "b", "c"])" : R"(["c", "d", "a", "e"])");
    batches.push_back(arrow::RecordBatch::Make(
        schema, rows,
        {ids.Finish().ValueOrDie(), names.Finish().ValueOrDie(),
         arrow::DictionaryArray::FromArrays(schema->field(2)->type(), words.Finish().ValueOrDie(), dictionary)
             .ValueOrDie(),
         arrow::FixedSizeListArray::FromArrays(values.Finish().ValueOrDie(), 4).ValueOrDie()}));
  }
  ASSERT_GT(id, 131'072);
  ExpectExact(schema, batches);
}

TEST(SegmentFile, FewerColumnsAndRowsThanUsual) {
  const auto schema = arrow::schema({arrow::field("id", arrow::int64())});
  EXPECT_TRUE(RoundTrip(schema, {}).empty());
  EXPECT_TRUE(RoundTrip(schema, {arrow::RecordBatch::MakeEmpty(schema).ValueOrDie()}).empty());
}

TEST(SegmentFile, TakesBatchesThatDifferInMetadataOnly) {
  const auto schema = arrow::schema({arrow::field("id", arrow::int64())}, arrow::key_value_metadata({{"a", "1"}}));
  const auto other = schema->WithMetadata(arrow::key_value_metadata({{"a", "2"}}));
  const auto array = FromJson(arrow::int64(), "[1, 2]");
  ExpectExact(schema, {arrow::RecordBatch::Make(schema, 2, {array}), arrow::RecordBatch::Make(other, 2, {array})});

  MemoryFileSystem fs;
  const auto wrong = arrow::schema({arrow::field("id", arrow::int32())});
  const auto batch = arrow::RecordBatch::Make(wrong, 1, {FromJson(arrow::int32(), "[1]")});
  const Status status = WriteSegmentFile(fs, kPath, schema, {batch}).status();
  EXPECT_EQ(status.code(), StatusCode::kInternal) << status.ToString();
}

// Seconds become milliseconds in Parquet; what does not fit must be refused and not be wrapped.
TEST(SegmentFile, RefusesWhatItCouldNotBringBack) {
  for (const TypeCase& c : {TypeCase{arrow::timestamp(arrow::TimeUnit::SECOND), "[9223372036854775807]"},
                            TypeCase{arrow::fixed_size_list(arrow::int8(), 0), "[[]]"}}) {
    MemoryFileSystem fs;
    const auto schema = arrow::schema({arrow::field("c", c.type)});
    const auto batch = arrow::RecordBatch::Make(schema, 1, {FromJson(c.type, c.json)});
    const Status status = WriteSegmentFile(fs, kPath, schema, {batch}).status();
    EXPECT_EQ(status.code(), StatusCode::kInternal) << c.type->ToString();
    EXPECT_NE(status.message().find(kPath), std::string_view::npos);
  }
}

Batches SmallBatches() {
  const auto schema = arrow::schema(
      {arrow::field("id", arrow::int64()), arrow::field("v", arrow::fixed_size_list(arrow::float32(), 2))});
  return {arrow::RecordBatch::Make(
      schema, 2, {FromJson(arrow::int64(), "[1, 2]"), FromJson(schema->field(1)->type(), "[[1, 2], [3, 4]]")})};
}

TEST(SegmentFile, SeesEveryFlippedBitAndEveryLostByte) {
  MemoryFileSystem memory;
  FaultFileSystem fs(memory);
  const Batches batches = SmallBatches();
  const FileDigest digest = WriteSegmentFile(fs, kPath, batches[0]->schema(), batches).value();
  for (uint64_t offset = 0; offset < digest.size_bytes; ++offset) {
    const int bit = static_cast<int>(offset % 8);
    ASSERT_TRUE(fs.FlipBit(kPath, offset, bit).ok());
    const Status status = ReadSegmentFile(fs, kPath, digest).status();
    ASSERT_EQ(status.code(), StatusCode::kDataLoss) << offset;
    ASSERT_NE(status.message().find(kPath), std::string_view::npos);
    ASSERT_TRUE(fs.FlipBit(kPath, offset, bit).ok());
  }
  EXPECT_TRUE(ReadSegmentFile(fs, kPath, digest).ok());
  ASSERT_TRUE(fs.Open(kPath, OpenMode::kReadWrite).value()->Truncate(digest.size_bytes - 1).ok());
  EXPECT_EQ(ReadSegmentFile(fs, kPath, digest).status().code(), StatusCode::kDataLoss);
  EXPECT_EQ(ReadSegmentFile(fs, "missing", digest).status().code(), StatusCode::kNotFound);
}

// The checksums inside the file stand guard as well: a file that is damaged after its digest was checked.
TEST(SegmentFile, PagesAreCheckedToo) {
  MemoryFileSystem memory;
  FaultFileSystem fs(memory);
  const auto schema = arrow::schema({arrow::field("v", arrow::fixed_size_list(arrow::float32(), 64))});
  arrow::FloatBuilder values;
  for (int i = 0; i < 64 * 100; ++i) {
    ASSERT_TRUE(values.Append(static_cast<float>(i)).ok());
  }
  const auto vectors = arrow::FixedSizeListArray::FromArrays(values.Finish().ValueOrDie(), 64).ValueOrDie();
  FileDigest digest = WriteSegmentFile(fs, kPath, schema, {arrow::RecordBatch::Make(schema, 100, {vectors})}).value();
  EXPECT_GT(digest.size_bytes, 64 * 100 * 4u) << "vectors are stored plain";
  ASSERT_TRUE(fs.FlipBit(kPath, digest.size_bytes / 2, 3).ok());
  const Status status = ReadSegmentFile(fs, kPath, digest).status();
  const size_t got = status.message().find("got ");
  ASSERT_NE(got, std::string_view::npos) << status.ToString();
  digest.crc32c = static_cast<uint32_t>(std::stoul(std::string(status.message().substr(got + 4))));
  const Status inner = ReadSegmentFile(fs, kPath, digest).status();
  EXPECT_EQ(inner.code(), StatusCode::kDataLoss);
  EXPECT_NE(inner.message().find("CRC"), std::string_view::npos) << inner.ToString();
}

TEST(SegmentFile, DiskErrorsKeepTheirCode) {
  const Batches batches = SmallBatches();
  for (const FileCall call : {FileCall::kWrite, FileCall::kSync, FileCall::kSyncDirectory}) {
    MemoryFileSystem memory;
    FaultFileSystem fs(memory);
    fs.FailCall(call, 1, FaultKind::kNoSpace);
    EXPECT_EQ(WriteSegmentFile(fs, kPath, batches[0]->schema(), batches).status().code(),
              StatusCode::kResourceExhausted);
  }
  MemoryFileSystem fs;
  ASSERT_TRUE(WriteSegmentFile(fs, kPath, batches[0]->schema(), batches).ok());
  EXPECT_EQ(WriteSegmentFile(fs, kPath, batches[0]->schema(), batches).status().code(), StatusCode::kAlreadyExists);
}

TEST(SegmentFile, IsDurableOnReturn) {
  MemoryFileSystem fs;
  const Batches batches = SmallBatches();
  const FileDigest digest = WriteSegmentFile(fs, kPath, batches[0]->schema(), batches).value();
  fs.Crash(MemoryFileSystem::Unsynced::kForgotten, 0);
  EXPECT_TRUE(ReadSegmentFile(fs, kPath, digest).ok());
}

}  // namespace
}  // namespace longbow::storage
