#include <arrow/buffer.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/message.h>
#include <arrow/ipc/reader.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <algorithm>
#include <deque>
#include <exception>
#include <map>
#include <new>

#include "base/limits.h"
#include "wire/arrow_status.h"
#include "wire/flight_data.h"
#include "wire/ipc_metadata.h"
#include "wire/ipc_stream.h"
#include "wire/slice_file.h"

namespace longbow::wire {
namespace {

using Type = IpcMetadata::Type;

arrow::ipc::IpcReadOptions ReadOptions() {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  return options;
}

std::shared_ptr<arrow::Buffer> BufferOf(const std::string& bytes) { return arrow::Buffer::FromString(bytes); }

// Hands Arrow's stream reader messages that already arrived.
class ArrivedMessages final : public arrow::ipc::MessageReader {
 public:
  arrow::Result<std::unique_ptr<arrow::ipc::Message>> ReadNextMessage() override {
    if (messages.empty()) {
      return nullptr;
    }
    auto message = std::move(messages.front());
    messages.pop_front();
    return message;
  }

  std::deque<std::unique_ptr<arrow::ipc::Message>> messages;
};

// Bytes that the buffers of a batch will occupy. A compressed buffer begins with its size before compression (int64;
// -1: it is not compressed after all), so a decompression bomb shows itself before anything is allocated.
Result<int64_t> DecodedSize(const IpcMetadata& metadata, SliceFile& body) {
  int64_t total = 0;
  int64_t on_the_wire = 0;
  for (const IpcMetadata::Range& range : metadata.buffers) {
    if (range.offset < 0 || range.length < 0 || range.offset > metadata.body_length ||
        range.length > metadata.body_length - range.offset) {
      return InvalidArgument("invalid Arrow data: a buffer lies outside of the message body");
    }
    // Honest writers never let buffers overlap; a liar could have the same bytes copied thousands of times.
    on_the_wire += range.length;
    if (on_the_wire > metadata.body_length) {
      return InvalidArgument("invalid Arrow data: buffers are larger than the message body");
    }
    int64_t size = range.length;
    if (metadata.compressed && range.length > 0) {
      int64_t declared = 0;
      if (range.length < static_cast<int64_t>(sizeof(declared)) ||
          !body.ReadAt(range.offset, sizeof(declared), &declared).ok() || declared < -1) {
        return InvalidArgument("invalid Arrow data: a compressed buffer does not tell its size");
      }
      size = declared < 0 ? range.length : declared;
    }
    if (size > limits::kBatchSizeMaxBytes - total) {
      return ResourceExhausted("a batch is larger than " + std::to_string(limits::kBatchSizeMaxBytes) +
                               " bytes; send smaller batches");
    }
    total += size;
  }
  return total;
}

// Lengths claimed without bytes to back them would make later stages work for nothing: null columns need no bytes at
// all.
Status CheckLengths(const IpcMetadata& metadata, int64_t decoded_bytes) {
  if (metadata.rows < 0 || metadata.rows > limits::kBatchRowsMax) {
    return InvalidArgument("a batch of " + std::to_string(metadata.rows) + " rows: at most " +
                           std::to_string(limits::kBatchRowsMax) + " allowed");
  }
  for (const int64_t length : metadata.node_lengths) {
    if (length < 0 || length > 8 * decoded_bytes + limits::kBatchRowsMax) {
      return InvalidArgument("invalid Arrow data: an array claims " + std::to_string(length) + " values");
    }
  }
  return {};
}

}  // namespace

class BatchDecoder::State {
 public:
  explicit State(std::shared_ptr<BlockCache> cache)
      : cache_(cache != nullptr ? std::move(cache) : BlockCache::Make(limits::kReceiveCacheMaxBytes)) {}

  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

  Result<std::optional<RowBatch>> Feed(const FlightData& data) {
    if (failed_) {
      return InvalidArgument("the stream has failed before");
    }
    failed_ = true;  // unless this message is fine
    try {
      auto result = Decode(data);
      failed_ = !result.ok();
      return result;
    } catch (const std::bad_alloc&) {
      return ResourceExhausted("no memory to decode a message");
    } catch (const std::exception& error) {
      return InvalidArgument(std::string("invalid Arrow data: ") + error.what());
    }
  }

 private:
  Result<std::optional<RowBatch>> Decode(const FlightData& data) {
    const size_t body_size = TotalSize(data.body);
    if (data.header.empty()) {
      if (body_size > 0) {
        return InvalidArgument("a message has a body but no data header");
      }
      return std::optional<RowBatch>();
    }
    LB_ASSIGN(const IpcMetadata metadata, ReadIpcMetadata(data.header));
    if (metadata.type == Type::kSchema) {
      LB_TRY(OnSchema(data));
      return std::optional<RowBatch>();
    }
    if (metadata.type != Type::kBatch && metadata.type != Type::kDictionary) {
      return InvalidArgument("only schemas, dictionaries and record batches are expected, got IPC message type " +
                             std::to_string(static_cast<int>(metadata.type)));
    }
    if (schema_ == nullptr) {
      return InvalidArgument("data before the schema");
    }
    if (metadata.body_length < 0 || static_cast<size_t>(metadata.body_length) != body_size) {
      return InvalidArgument("the message body has " + std::to_string(body_size) + " bytes, its header says " +
                             std::to_string(metadata.body_length));
    }
    SliceFile body(data.body, cache_);
    LB_ASSIGN(const int64_t decoded_bytes, DecodedSize(metadata, body));
    LB_TRY(CheckLengths(metadata, decoded_bytes));
    if (metadata.type == Type::kDictionary) {
      LB_TRY(OnDictionary(data, metadata, decoded_bytes, body));
      return std::optional<RowBatch>();
    }
    return stream_ == nullptr ? OnPlainBatch(data, metadata, body) : OnStreamBatch(data, body);
  }

  Status OnSchema(const FlightData& data) {
    if (schema_ != nullptr) {
      return InvalidArgument("a second schema in one stream");
    }
    if (TotalSize(data.body) != 0) {
      return InvalidArgument("a schema message with a body");
    }
    auto message = arrow::ipc::Message::Open(BufferOf(data.header), nullptr);
    LB_TRY(FromReading(message.status()));
    arrow::ipc::DictionaryMemo memo;
    auto schema = arrow::ipc::ReadSchema(**message, &memo);
    LB_TRY(FromReading(schema.status()));
    // Dictionaries and foreign byte order are for Arrow's stream reader, which wants whole bodies; the usual case is
    // not.
    if (memo.fields().num_fields() > 0 || !(*schema)->is_native_endian()) {
      auto arrived = std::make_unique<ArrivedMessages>();
      ArrivedMessages* queue = arrived.get();
      queue->messages.push_back(std::move(*message));
      auto options = ReadOptions();
      options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
      auto reader = arrow::ipc::RecordBatchStreamReader::Open(
          std::unique_ptr<arrow::ipc::MessageReader>(std::move(arrived)), options);
      LB_TRY(FromReading(reader.status()));
      stream_ = std::move(*reader);
      arrived_ = queue;
      schema_ = stream_->schema();
    } else {
      schema_ = std::move(*schema);
      encoded_schema_ = Slice::Own(EncapsulatedHead(data.header));
    }
    return {};
  }

  Status OnDictionary(const FlightData& data, const IpcMetadata& metadata, int64_t decoded_bytes, SliceFile& body) {
    if (stream_ == nullptr) {
      return InvalidArgument("a dictionary for a schema without dictionary columns");
    }
    // A delta adds to what is there, any other replaces it; small ones count for their bookkeeping.
    int64_t& size = dictionary_bytes_[metadata.dictionary_id];
    size = (metadata.dictionary_delta ? size : 0) + decoded_bytes + static_cast<int64_t>(data.header.size());
    waiting_bytes_ += decoded_bytes + static_cast<int64_t>(data.header.size());
    int64_t total = 0;
    for (const auto& [id, bytes] : dictionary_bytes_) {
      total += bytes;
    }
    if (std::max(total, waiting_bytes_) > limits::kDictionariesSizeMaxBytes) {
      return ResourceExhausted("the dictionaries of the stream are larger than " +
                               std::to_string(limits::kDictionariesSizeMaxBytes) + " bytes");
    }
    return Queue(data, body);  // read together with the next batch
  }

  // Arrow's stream reader wants the body in one piece.
  Status Queue(const FlightData& data, SliceFile& body) {
    auto whole = body.ReadAt(0, *body.GetSize());
    LB_TRY(FromReading(whole.status()));
    auto message = arrow::ipc::Message::Open(BufferOf(data.header), std::move(*whole));
    LB_TRY(FromReading(message.status()));
    arrived_->messages.push_back(std::move(*message));
    return {};
  }

  Result<std::optional<RowBatch>> OnStreamBatch(const FlightData& data, SliceFile& body) {
    LB_TRY(Queue(data, body));
    std::shared_ptr<arrow::RecordBatch> rows;
    LB_TRY(FromReading(stream_->ReadNext(&rows)));
    if (rows == nullptr) {
      return InvalidArgument("invalid Arrow data: a record batch without its dictionaries");
    }
    waiting_bytes_ = 0;
    return Reencode(std::move(rows));
  }

  Result<std::optional<RowBatch>> OnPlainBatch(const FlightData& data, const IpcMetadata& metadata, SliceFile& body) {
    const auto header = BufferOf(data.header);
    auto rows = arrow::ipc::ReadRecordBatch(*header, schema_, nullptr, ReadOptions(), &body);
    LB_TRY(FromReading(rows.status()));
    if (metadata.compressed) {
      return Reencode(std::move(*rows));
    }
    RowBatch batch{std::move(*rows), {encoded_schema_, Slice::Own(EncapsulatedHead(data.header))}};
    batch.encoded.insert(batch.encoded.end(), data.body.begin(), data.body.end());
    return std::optional<RowBatch>(std::move(batch));
  }

  // The log keeps plain batches only. What is to be written must be sound: a writer trusts offsets.
  Result<std::optional<RowBatch>> Reencode(std::shared_ptr<arrow::RecordBatch> rows) {
    LB_TRY(FromReading(rows->ValidateFull()));
    LB_ASSIGN(RowBatch batch, EncodeRows(std::move(rows)));
    return std::optional<RowBatch>(std::move(batch));
  }

  const std::shared_ptr<BlockCache> cache_;
  std::shared_ptr<arrow::Schema> schema_;
  Slice encoded_schema_;
  bool failed_ = false;

  // With dictionaries:
  std::shared_ptr<arrow::ipc::RecordBatchStreamReader> stream_;
  ArrivedMessages* arrived_ = nullptr;  // owned by stream_
  std::map<int64_t, int64_t> dictionary_bytes_;
  int64_t waiting_bytes_ = 0;  // of dictionaries queued for the next batch
};

BatchDecoder::BatchDecoder(std::shared_ptr<BlockCache> cache) : state_(std::make_unique<State>(std::move(cache))) {}
BatchDecoder::~BatchDecoder() = default;
Result<std::optional<RowBatch>> BatchDecoder::Feed(const FlightData& data) { return state_->Feed(data); }
const std::shared_ptr<arrow::Schema>& BatchDecoder::schema() const { return state_->schema(); }

}  // namespace longbow::wire
