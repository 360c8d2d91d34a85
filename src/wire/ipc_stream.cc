#include "wire/ipc_stream.h"

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <cstring>

#include "base/limits.h"
#include "wire/arrow_status.h"
#include "wire/flight_data.h"
#include "wire/ipc_metadata.h"
#include "wire/slice_file.h"

namespace longbow::wire {
namespace {

constexpr uint8_t kZeros[8] = {};

size_t PaddingTo8(size_t size) { return (8 - size % 8) % 8; }

void AppendMessage(const arrow::ipc::IpcPayload& payload, Slices* out) {
  out->push_back(Slice::Own(EncapsulatedHead(
      {reinterpret_cast<const char*>(payload.metadata->data()), static_cast<size_t>(payload.metadata->size())})));
  AppendBody(payload, out);
}

arrow::Status EncodeStream(const arrow::RecordBatch& rows, Slices* out) {
  const auto options = arrow::ipc::IpcWriteOptions::Defaults();
  const arrow::ipc::DictionaryFieldMapper mapper(*rows.schema());
  arrow::ipc::IpcPayload payload;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetSchemaPayload(*rows.schema(), options, mapper, &payload));
  AppendMessage(payload, out);
  ARROW_ASSIGN_OR_RAISE(const auto dictionaries, arrow::ipc::CollectDictionaries(rows, mapper));
  for (const auto& [id, values] : dictionaries) {
    arrow::ipc::IpcPayload dictionary;
    ARROW_RETURN_NOT_OK(arrow::ipc::GetDictionaryPayload(id, values, options, &dictionary));
    AppendMessage(dictionary, out);
  }
  arrow::ipc::IpcPayload batch;
  ARROW_RETURN_NOT_OK(arrow::ipc::GetRecordBatchPayload(rows, options, &batch));
  AppendMessage(batch, out);
  return arrow::Status::OK();
}

// The metadata of the message at the file's position, which is left at its body.
arrow::Result<std::shared_ptr<arrow::Buffer>> ReadHead(SliceFile& file) {
  uint32_t head[2] = {};
  ARROW_ASSIGN_OR_RAISE(const int64_t read, file.Read(sizeof(head), head));
  if (read != sizeof(head) || head[0] != 0xFFFFFFFFu || head[1] > limits::kIpcHeaderSizeMaxBytes) {
    return arrow::Status::Invalid("no IPC message where one should begin");
  }
  ARROW_ASSIGN_OR_RAISE(auto metadata, file.Read(head[1]));
  if (metadata->size() != head[1]) {
    return arrow::Status::Invalid("truncated IPC metadata");
  }
  return metadata;
}

// A stream with dictionaries, read by Arrow from front to back.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadWithDictionaries(const Slices& encoded) {
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  options.ensure_alignment = arrow::ipc::Alignment::kDataTypeSpecificAlignment;
  ARROW_ASSIGN_OR_RAISE(const auto reader, arrow::ipc::RecordBatchStreamReader::Open(
                                               std::make_shared<SliceFile>(encoded, nullptr), options));
  std::shared_ptr<arrow::RecordBatch> rows;
  std::shared_ptr<arrow::RecordBatch> second;
  ARROW_RETURN_NOT_OK(reader->ReadNext(&rows));
  ARROW_RETURN_NOT_OK(reader->ReadNext(&second));
  if (rows == nullptr || second != nullptr) {
    return arrow::Status::Invalid("one record batch expected");
  }
  return rows;
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> ReadStream(const Slices& encoded) {
  SliceFile file(encoded, nullptr);
  ARROW_ASSIGN_OR_RAISE(const auto schema_metadata, ReadHead(file));
  ARROW_ASSIGN_OR_RAISE(const auto schema_message, arrow::ipc::Message::Open(schema_metadata, nullptr));
  if (schema_message->type() != arrow::ipc::MessageType::SCHEMA) {
    return arrow::Status::Invalid("the first IPC message is no schema");
  }
  arrow::ipc::DictionaryMemo memo;
  ARROW_ASSIGN_OR_RAISE(const auto schema, arrow::ipc::ReadSchema(*schema_message, &memo));
  if (memo.fields().num_fields() > 0) {
    return ReadWithDictionaries(encoded);
  }
  ARROW_ASSIGN_OR_RAISE(const auto metadata, ReadHead(file));
  const auto facts =
      ReadIpcMetadata({reinterpret_cast<const char*>(metadata->data()), static_cast<size_t>(metadata->size())});
  if (!facts.ok() || facts->type != IpcMetadata::Type::kBatch) {
    return arrow::Status::Invalid("the second IPC message is no record batch");
  }
  ARROW_ASSIGN_OR_RAISE(const int64_t body, file.Tell());
  ARROW_ASSIGN_OR_RAISE(const int64_t size, file.GetSize());
  const int64_t rest = size - body;
  const bool whole =
      rest == facts->body_length || rest == facts->body_length + static_cast<int64_t>(kEndOfStream.size());
  if (facts->body_length < 0 || !whole) {
    return arrow::Status::Invalid("the record batch should have ", facts->body_length, " bytes, there are ", rest);
  }
  auto options = arrow::ipc::IpcReadOptions::Defaults();
  options.use_threads = false;
  SliceFile body_file(file.Sub(body, facts->body_length), nullptr);
  return arrow::ipc::ReadRecordBatch(*metadata, schema, nullptr, options, &body_file);
}

std::string Concatenated(const Slices& slices) {
  std::string bytes;
  bytes.reserve(TotalSize(slices) + kEndOfStream.size());
  for (const Slice& slice : slices) {
    bytes += slice.view();
  }
  return bytes;
}

}  // namespace

std::string EncapsulatedHead(std::string_view metadata) {
  const uint32_t head[2] = {0xFFFFFFFFu, static_cast<uint32_t>(metadata.size() + PaddingTo8(metadata.size()))};
  std::string bytes(reinterpret_cast<const char*>(head), sizeof(head));
  bytes += metadata;
  bytes.append(PaddingTo8(metadata.size()), '\0');
  return bytes;
}

Slice SliceOf(std::shared_ptr<arrow::Buffer> buffer) {
  const uint8_t* data = buffer->data();
  const auto size = static_cast<size_t>(buffer->size());
  return {data, size, std::move(buffer)};
}

void AppendBody(const arrow::ipc::IpcPayload& payload, Slices* out) {
  for (const auto& buffer : payload.body_buffers) {
    if (buffer == nullptr || buffer->size() == 0) {
      continue;
    }
    out->push_back(SliceOf(buffer));
    if (const size_t padding = PaddingTo8(static_cast<size_t>(buffer->size())); padding > 0) {
      out->emplace_back(kZeros, padding, nullptr);
    }
  }
}

Result<RowBatch> EncodeRows(std::shared_ptr<arrow::RecordBatch> rows) {
  RowBatch batch;
  LB_TRY(FromWriting(EncodeStream(*rows, &batch.encoded)));
  batch.rows = std::move(rows);
  return batch;
}

Result<std::shared_ptr<arrow::RecordBatch>> DecodeRows(const Slices& encoded) {
  const auto rows = ReadStream(encoded);
  if (!rows.ok()) {
    return rows.status().IsOutOfMemory()
               ? ResourceExhausted(rows.status().message())
               : DataLoss("stored rows are no Arrow IPC stream with one batch: " + rows.status().message());
  }
  return *rows;
}

Result<std::string> IpcStream(const arrow::RecordBatch& rows) {
  Slices encoded;
  LB_TRY(FromWriting(EncodeStream(rows, &encoded)));
  return Concatenated(encoded).append(kEndOfStream);
}

Result<std::string> IpcSchema(const arrow::Schema& schema) {
  const arrow::ipc::DictionaryFieldMapper mapper(schema);
  arrow::ipc::IpcPayload payload;
  LB_TRY(FromWriting(arrow::ipc::GetSchemaPayload(schema, arrow::ipc::IpcWriteOptions::Defaults(), mapper, &payload)));
  Slices encoded;
  AppendMessage(payload, &encoded);
  return Concatenated(encoded);
}

}  // namespace longbow::wire
