#include "wire/flight_data.h"

#include <arrow/io/memory.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/limits.h"
#include "flight.pb.h"
#include "wire/sample_stream.h"

namespace longbow::wire {
namespace {

using Rows = std::shared_ptr<arrow::RecordBatch>;

// Feeds FlightData bytes, cut into pieces; the batches that come out.
Result<std::vector<RowBatch>> Decode(const std::vector<std::string>& messages, size_t piece) {
  BatchDecoder decoder;
  std::vector<RowBatch> batches;
  for (const std::string& message : messages) {
    LB_ASSIGN(const FlightData data, ParseFlightData(Cut(message, piece)));
    LB_ASSIGN(std::optional<RowBatch> batch, decoder.Feed(data));
    if (batch) {
      batches.push_back(std::move(*batch));
    }
  }
  return batches;
}

// Reads `encoded` with Arrow's own reader.
Rows ReadByArrow(const Slices& encoded) {
  auto source = std::make_shared<arrow::io::BufferReader>(arrow::Buffer::FromString(Flat(encoded)));
  auto reader = arrow::ipc::RecordBatchStreamReader::Open(source);
  EXPECT_TRUE(reader.ok()) << reader.status();
  Rows rows;
  EXPECT_TRUE((*reader)->ReadNext(&rows).ok());
  Rows end;
  EXPECT_TRUE((*reader)->ReadNext(&end).ok());
  EXPECT_EQ(end, nullptr);
  return rows;
}

void CheckBatch(const RowBatch& batch, const Rows& expected) {
  ASSERT_TRUE(batch.rows->ValidateFull().ok()) << batch.rows->ValidateFull();
  EXPECT_TRUE(batch.rows->Equals(*expected, false)) << batch.rows->ToString();
  EXPECT_TRUE(ReadByArrow(batch.encoded)->Equals(*expected, false));
  const auto decoded = DecodeRows(batch.encoded);
  ASSERT_TRUE(decoded.ok()) << decoded.status().ToString();
  EXPECT_TRUE((*decoded)->Equals(*expected, false));
  EXPECT_TRUE((*decoded)->schema()->Equals(*expected->schema(), true));
}

Status DecodeError(const std::vector<std::string>& messages) { return Decode(messages, 100).status(); }

TEST(ParseFlightData, ReadsEveryFieldInAnyOrder) {
  arrow::flight::protocol::FlightData message;
  message.mutable_flight_descriptor()->set_type(arrow::flight::protocol::FlightDescriptor::PATH);
  message.mutable_flight_descriptor()->add_path("ns/ds");
  message.mutable_flight_descriptor()->add_path("second");
  message.set_data_header("header");
  message.set_app_metadata("");
  message.set_data_body(std::string(1000, 'b'));
  const std::string bytes = message.SerializeAsString();
  for (const size_t piece : {1, 2, 7, 64, 5000}) {
    const auto data = ParseFlightData(Cut(bytes, piece));
    ASSERT_TRUE(data.ok()) << data.status().ToString();
    EXPECT_EQ(data->descriptor->type, Descriptor::Type::kPath);
    EXPECT_EQ(data->descriptor->path, (std::vector<std::string>{"ns/ds", "second"}));
    EXPECT_EQ(data->header, "header");
    EXPECT_FALSE(data->app_metadata.has_value()) << "proto3 does not send empty bytes";
    EXPECT_EQ(Flat(data->body), std::string(1000, 'b'));
  }
  // Body first, an unknown field of each kind, a repeated header of which the last counts, empty app_metadata.
  const std::string odd = std::string("\xc2\x3e\x02zz", 5) + std::string("\x28\x96\x01", 3) + std::string("\x31", 1) +
                          std::string(8, 'x') + std::string("\x3d", 1) + std::string(4, 'x') + "\x42\x01q" +
                          "\x12\x01"
                          "a" +
                          "\x12\x01"
                          "b" +
                          std::string("\x1a\x00", 2);
  const auto data = ParseFlightData(Cut(odd, 3));
  ASSERT_TRUE(data.ok()) << data.status().ToString();
  EXPECT_EQ(data->header, "b");
  EXPECT_EQ(data->app_metadata, "");
  EXPECT_EQ(Flat(data->body), "zz");
  EXPECT_FALSE(data->descriptor.has_value());
  EXPECT_TRUE(ParseFlightData({}).ok());
}

TEST(ParseFlightData, CommandDescriptor) {
  arrow::flight::protocol::FlightData message;
  message.mutable_flight_descriptor()->set_type(arrow::flight::protocol::FlightDescriptor::CMD);
  message.mutable_flight_descriptor()->set_cmd("VectorSearch");
  const auto data = ParseFlightData(Cut(message.SerializeAsString(), 4));
  EXPECT_EQ(data->descriptor->type, Descriptor::Type::kCommand);
  EXPECT_EQ(data->descriptor->command, "VectorSearch");
}

TEST(ParseFlightData, RefusesMalformedBytes) {
  for (const std::string& bytes : {std::string("\xff"),
                                   std::string("\x12\x05"
                                               "abc"),
                                   std::string("\x12"), std::string("\x0b"), std::string("\x0a\x02\xff\xff"),
                                   std::string("\x0a\x03\x1a\x01\xff"), std::string("\x31xx"), std::string("\x3dxx"),
                                   std::string("\x00\x01", 2), std::string("\x12\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),
                                   std::string("\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x7f")}) {
    const auto data = ParseFlightData(Cut(bytes, 2));
    EXPECT_EQ(data.status().code(), StatusCode::kInvalidArgument) << testing::PrintToString(bytes);
  }
  std::string header =
      "\x12" + std::string("\x81\x80\x80\x08", 4) + std::string(limits::kIpcHeaderSizeMaxBytes + 1, 'x');
  EXPECT_NE(ParseFlightData(Cut(header, 1 << 20)).status().message().find("data header is too large"),
            std::string_view::npos);
}

TEST(BatchDecoder, ReadsWhatArrowWritesHoweverItIsCut) {
  const Rows rich = SampleBatch(57, 5, true);
  const Rows sliced = rich->Slice(3, 20);
  const auto messages = ArrowStream({rich, sliced, rich->Slice(0, 0)}, arrow::ipc::IpcWriteOptions::Defaults());
  for (const size_t piece : {1, 3, 64, 1000, 1 << 20}) {
    SCOPED_TRACE(piece);
    const auto batches = Decode(messages, piece);
    ASSERT_TRUE(batches.ok()) << batches.status().ToString();
    ASSERT_EQ(batches->size(), 3u);
    CheckBatch((*batches)[0], rich);
    CheckBatch((*batches)[1], sliced);
    CheckBatch((*batches)[2], rich->Slice(0, 0));
  }
}

TEST(BatchDecoder, PlainBatchesKeepTheBytesThatArrived) {
  const Rows rows = SampleBatch(2048, 768, false);
  const auto messages = ArrowStream({rows}, arrow::ipc::IpcWriteOptions::Defaults());
  BatchDecoder decoder;
  ASSERT_TRUE(decoder.Feed(*ParseFlightData(Cut(messages[0], 50'000))).ok());
  ASSERT_TRUE(decoder.schema()->Equals(*rows->schema(), true));
  const FlightData data = *ParseFlightData(Cut(messages[1], 50'000));
  const auto batch = *decoder.Feed(data);
  ASSERT_TRUE(batch.has_value());
  ASSERT_EQ(batch->encoded.size(), 2 + data.body.size());
  for (size_t i = 0; i < data.body.size(); ++i) {
    EXPECT_EQ(batch->encoded[2 + i].data(), data.body[i].data());
  }
  for (const auto& column : batch->rows->columns()) {
    for (const auto& array :
         {column->data(), column->data()->child_data.empty() ? column->data() : column->data()->child_data[0]}) {
      for (const auto& buffer : array->buffers) {
        EXPECT_TRUE(buffer == nullptr || buffer->address() % 64 == 0);
      }
    }
  }
  CheckBatch(*batch, rows);
}

TEST(BatchDecoder, ReadsCompressedBatches) {
  const Rows rows = SampleBatch(500, 16, true);
  for (const auto codec : {arrow::Compression::LZ4_FRAME, arrow::Compression::ZSTD}) {
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.codec = *arrow::util::Codec::Create(codec);
    const auto batches = Decode(ArrowStream({rows, rows->Slice(7)}, options), 777);
    ASSERT_TRUE(batches.ok()) << batches.status().ToString();
    ASSERT_EQ(batches->size(), 2u);
    CheckBatch((*batches)[0], rows);
    CheckBatch((*batches)[1], rows->Slice(7));
  }
}

TEST(BatchDecoder, ReadsDictionariesReplacedAndExtended) {
  const Rows first = DictionaryBatch({"a", "b"}, {0, 1, 1});
  const Rows longer = DictionaryBatch({"a", "b", "c"}, {2, 0});
  const Rows other = DictionaryBatch({"x"}, {0, 0, 0});
  for (const bool deltas : {false, true}) {
    auto options = arrow::ipc::IpcWriteOptions::Defaults();
    options.emit_dictionary_deltas = deltas;
    const auto messages = ArrowStream({first, first, longer, other}, options);
    EXPECT_EQ(messages.size(), 8u) << "schema, 4 batches, 3 dictionaries";
    const auto batches = Decode(messages, 11);
    ASSERT_TRUE(batches.ok()) << batches.status().ToString();
    ASSERT_EQ(batches->size(), 4u);
    CheckBatch((*batches)[0], first);
    CheckBatch((*batches)[1], first);
    CheckBatch((*batches)[2], longer);
    CheckBatch((*batches)[3], other);
  }
}

TEST(BatchDecoder, TurnsForeignByteOrder) {
  const auto schema = arrow::schema({arrow::field("a", arrow::int64())})->WithEndianness(arrow::Endianness::Big);
  const auto rows = arrow::RecordBatch::Make(schema, 1, {FromJson(arrow::int64(), {1})});
  const auto batches = Decode(ArrowStream({rows}, arrow::ipc::IpcWriteOptions::Defaults()), 50);
  ASSERT_TRUE(batches.ok()) << batches.status().ToString();
  EXPECT_EQ(static_cast<const arrow::Int64Array&>(*(*batches)[0].rows->column(0)).Value(0), int64_t{1} << 56);
  CheckBatch((*batches)[0], (*batches)[0].rows);
}

TEST(BatchDecoder, BoundsLengthsWithoutBytes) {
  const auto rows =
      arrow::RecordBatch::Make(arrow::schema({arrow::field("n", arrow::null())}), limits::kBatchRowsMax + 1,
                               {std::make_shared<arrow::NullArray>(limits::kBatchRowsMax + 1)});
  EXPECT_NE(DecodeError(ArrowStream({rows}, arrow::ipc::IpcWriteOptions::Defaults())).message().find("rows: at most"),
            std::string_view::npos);
  const auto child = std::make_shared<arrow::NullArray>(int64_t{1} << 40);
  const auto type = arrow::fixed_size_list(arrow::null(), 1 << 20);
  const auto list = std::make_shared<arrow::FixedSizeListArray>(type, int64_t{1} << 20, child);
  const auto nested = arrow::RecordBatch::Make(arrow::schema({arrow::field("n", type)}), int64_t{1} << 20, {list});
  auto wide = arrow::ipc::IpcWriteOptions::Defaults();
  wide.allow_64bit = true;
  EXPECT_NE(DecodeError(ArrowStream({nested}, wide)).message().find("an array claims"), std::string_view::npos);
}

TEST(BatchDecoder, RefusesMessagesInTheWrongPlace) {
  const auto plain = ArrowStream({SampleBatch(3, 2, false)}, arrow::ipc::IpcWriteOptions::Defaults());
  const auto coded = ArrowStream({DictionaryBatch({"a"}, {0})}, arrow::ipc::IpcWriteOptions::Defaults());
  const auto expect = [](const std::vector<std::string>& messages, const std::string& text) {
    const Status status = DecodeError(messages);
    EXPECT_EQ(status.code(), StatusCode::kInvalidArgument) << status.ToString();
    EXPECT_NE(status.message().find(text), std::string_view::npos) << status.ToString();
  };
  expect({plain[1]}, "data before the schema");
  expect({coded[1]}, "data before the schema");
  expect({plain[0], plain[0]}, "a second schema");
  expect({plain[0], coded[1]}, "a dictionary for a schema without dictionary columns");
  expect({coded[0], coded[2]}, "invalid Arrow data");
  expect({plain[0], "\xc2\x3e\x01x"}, "a body but no data header");
  expect({"\x12\x04junk"}, "no Arrow IPC message");
  std::string cut = plain[1];
  const size_t body = cut.rfind(std::string("\xc2\x3e", 2));
  cut.resize(body);
  expect({plain[0], cut}, "its header says");
  EXPECT_TRUE(DecodeError({plain[0], std::string("\x1a\x02hi", 4), plain[1]}).ok()) << "metadata alone is no error";
}

TEST(BatchDecoder, StaysFailed) {
  const auto messages = ArrowStream({SampleBatch(3, 2, false)}, arrow::ipc::IpcWriteOptions::Defaults());
  BatchDecoder decoder;
  EXPECT_FALSE(decoder.Feed(*ParseFlightData(Cut(messages[1], 100))).ok());
  EXPECT_NE(decoder.Feed(*ParseFlightData(Cut(messages[0], 100))).status().message().find("failed before"),
            std::string_view::npos);
}

// The int64 before each compressed buffer tells its size: it is believed for the bound only.
TEST(BatchDecoder, BoundsDecompression) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.codec = *arrow::util::Codec::Create(arrow::Compression::ZSTD);
  const auto zeros = std::make_shared<arrow::Int64Array>(1 << 16, *arrow::AllocateBuffer((1 << 16) * 8));
  std::memset(zeros->data()->buffers[1]->mutable_data(), 0, (1 << 16) * 8);
  const auto rows = arrow::RecordBatch::Make(arrow::schema({arrow::field("a", arrow::int64())}), 1 << 16, {zeros});
  auto messages = ArrowStream({rows}, options);
  ASSERT_TRUE(Decode(messages, 100).ok());
  const int64_t honest = (1 << 16) * 8;
  const size_t at = messages[1].find(std::string(reinterpret_cast<const char*>(&honest), 8) + "\x28\xb5\x2f\xfd");
  ASSERT_NE(at, std::string::npos);
  for (const auto& [size, code] :
       std::vector<std::pair<int64_t, StatusCode>>{{int64_t{1} << 40, StatusCode::kResourceExhausted},
                                                   {INT64_MAX, StatusCode::kResourceExhausted},
                                                   {-2, StatusCode::kInvalidArgument},
                                                   {1000, StatusCode::kInvalidArgument},
                                                   {honest * 2, StatusCode::kInvalidArgument}}) {
    std::memcpy(messages[1].data() + at, &size, sizeof(size));
    EXPECT_EQ(DecodeError(messages).code(), code) << size;
  }
}

TEST(BatchDecoder, BoundsDictionaries) {
  auto options = arrow::ipc::IpcWriteOptions::Defaults();
  options.emit_dictionary_deltas = true;
  const auto messages = ArrowStream(
      {DictionaryBatch({"a", "b"}, {0}), DictionaryBatch({"a", "b", std::string(8 << 20, 'c')}, {2})}, options);
  ASSERT_EQ(messages.size(), 5u);
  BatchDecoder decoder;
  for (size_t i = 0; i < 3; ++i) {
    ASSERT_TRUE(decoder.Feed(*ParseFlightData(Cut(messages[i], 1 << 20))).ok());
  }
  const FlightData delta = *ParseFlightData(Cut(messages[3], 1 << 20));
  Status status;
  int accepted = 0;
  for (; accepted < 100 && status.ok(); ++accepted) {
    status = decoder.Feed(delta).status();
  }
  EXPECT_EQ(status.code(), StatusCode::kResourceExhausted) << status.ToString();
  EXPECT_GT(accepted, 10);
}

TEST(BlockCache, RecyclesWithinItsBound) {
  const auto cache = BlockCache::Make(1 << 20);
  auto block = cache->Allocate(300'000);
  const uint8_t* first = block->data();
  EXPECT_EQ(block->address() % 64, 0u);
  EXPECT_EQ(block->size(), 300'000);
  std::memset(block->mutable_data(), 1, 300'000);
  block.reset();
  EXPECT_GE(cache->kept_bytes(), 300'000u);
  EXPECT_EQ(cache->Allocate(299'999)->data(), first);
  {
    const auto big = cache->Allocate(5 << 20);
    EXPECT_EQ(big->address() % (2 << 20), 0u);
  }
  EXPECT_LE(cache->kept_bytes(), size_t{1} << 20);
  cache->Trim();
  EXPECT_EQ(cache->kept_bytes(), 0u);
  auto survivor = BlockCache::Make(1 << 20)->Allocate(100'000);
  std::memset(survivor->mutable_data(), 1, 100'000);
  for (const size_t size : {1, 63, 64, 65, 1000, 65'536, 65'537, 1'000'000, 3'000'000}) {
    auto sized = cache->Allocate(size);
    std::memset(sized->mutable_data(), 1, size);
  }
}

TEST(BlockCache, SharedByThreads) {
  const auto cache = BlockCache::Make(4 << 20);
  std::vector<std::thread> threads;
  for (uint8_t mark = 1; mark <= 4; ++mark) {
    threads.emplace_back([&cache, mark] {
      for (size_t i = 0; i < 500; ++i) {
        const auto block = cache->Allocate(65'536 + i % 7 * 100'000);
        std::memset(block->mutable_data(), mark, static_cast<size_t>(block->size()));
        EXPECT_EQ(block->data()[block->size() - 1], mark);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_LE(cache->kept_bytes(), size_t{4} << 20);
}

// What BatchEncoder sends, as a client reads it.
TEST(BatchEncoder, RoundTrips) {
  const Rows rich = SampleBatch(57, 5, true);
  for (const std::vector<Rows>& batches :
       {std::vector<Rows>{rich, rich->Slice(10, 7)},
        {DictionaryBatch({"a", "b"}, {0, 1}), DictionaryBatch({"a", "b"}, {1}), DictionaryBatch({"z"}, {0})}}) {
    BatchEncoder encoder(batches[0]->schema());
    BatchDecoder decoder;
    ASSERT_TRUE(decoder.Feed(*ParseFlightData(*encoder.Schema())).ok());
    size_t dictionaries = 0;
    for (const Rows& rows : batches) {
      const auto messages = encoder.Batch(*rows, "note");
      ASSERT_TRUE(messages.ok()) << messages.status().ToString();
      dictionaries += messages->size() - 1;
      std::optional<RowBatch> decoded;
      for (const net::Message& message : *messages) {
        arrow::flight::protocol::FlightData parsed;
        ASSERT_TRUE(parsed.ParseFromString(Flat(message)));
        decoded = *decoder.Feed(*ParseFlightData(message));
      }
      ASSERT_TRUE(decoded.has_value());
      CheckBatch(*decoded, rows);
      EXPECT_EQ(ParseFlightData(messages->back())->app_metadata, "note");
    }
    EXPECT_EQ(dictionaries, batches.size() == 3 ? 2u : 0u);
  }
}

TEST(BatchEncoder, SendsColumnBuffersByReference) {
  const Rows rows = SampleBatch(100, 64, false);
  BatchEncoder encoder(rows->schema());
  const auto message = (*encoder.Batch(*rows))[0];
  const auto* values = rows->column(1)->data()->child_data[0]->buffers[1]->data();
  EXPECT_TRUE(std::any_of(message.begin(), message.end(), [&](const Slice& slice) { return slice.data() == values; }));
}

TEST(BatchEncoder, RefusesOtherColumns) {
  BatchEncoder encoder(arrow::schema({arrow::field("x", arrow::int8())}));
  EXPECT_EQ(encoder.Batch(*SampleBatch(1, 2, false)).status().code(), StatusCode::kInvalidArgument);
}

TEST(Streams, EncodeAndDecode) {
  for (const Rows& rows : {SampleBatch(57, 5, true), SampleBatch(57, 5, true)->Slice(5, 9), SampleBatch(0, 5, true),
                           DictionaryBatch({"a", "b"}, {1, 0})}) {
    const auto batch = EncodeRows(rows);
    ASSERT_TRUE(batch.ok());
    EXPECT_EQ(batch->rows, rows);
    CheckBatch(*batch, rows);
    const auto stream = IpcStream(*rows);
    ASSERT_TRUE(stream.ok());
    EXPECT_TRUE(ReadByArrow({Slice::Own(*stream)})->Equals(*rows, false));
    EXPECT_TRUE((*DecodeRows({Slice::Own(*stream)}))->Equals(*rows, false)) << "with an end-of-stream mark too";
  }
}

TEST(Streams, SchemaMessage) {
  const auto schema = SampleBatch(1, 4, true)->schema();
  arrow::io::BufferReader source(arrow::Buffer::FromString(*IpcSchema(*schema)));
  arrow::ipc::DictionaryMemo memo;
  EXPECT_TRUE((*arrow::ipc::ReadSchema(&source, &memo))->Equals(*schema, true));
}

TEST(Streams, DamageIsDataLoss) {
  const std::string whole = Flat(EncodeRows(SampleBatch(9, 3, false))->encoded);
  for (size_t size = 0; size < whole.size(); size += 13) {
    EXPECT_EQ(DecodeRows(Cut(whole.substr(0, size), 50)).status().code(), StatusCode::kDataLoss) << size;
  }
  EXPECT_EQ(DecodeRows(Cut(whole + whole, 50)).status().code(), StatusCode::kDataLoss);
}

TEST(Messages, MetadataAlone) {
  EXPECT_EQ(ParseFlightData(MetadataMessage("{\"rows\":1}"))->app_metadata, "{\"rows\":1}");
  arrow::flight::protocol::PutResult result;
  ASSERT_TRUE(result.ParseFromString(Flat(PutResultMessage("ack"))));
  EXPECT_EQ(result.app_metadata(), "ack");
}

}  // namespace
}  // namespace longbow::wire
