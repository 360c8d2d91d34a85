#include <arrow/array.h>
#include <arrow/buffer.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/type.h>

#include <map>

#include "wire/arrow_status.h"
#include "wire/flight_data.h"
#include "wire/ipc_stream.h"
#include "wire/protobuf_bytes.h"

namespace longbow::wire {
namespace {

constexpr uint32_t kDataHeader = 2;
constexpr uint32_t kAppMetadata = 3;
constexpr uint32_t kDataBody = 1000;
constexpr int64_t kMessageMaxBytes = INT32_MAX;  // Arrow's client reads no larger FlightData

Result<net::Message> ToFlightData(const arrow::ipc::IpcPayload& payload, std::string_view app_metadata) {
  std::string head;
  AppendBytes(&head, kDataHeader,
              {reinterpret_cast<const char*>(payload.metadata->data()), static_cast<size_t>(payload.metadata->size())});
  if (!app_metadata.empty()) {
    AppendBytes(&head, kAppMetadata, app_metadata);
  }
  if (payload.type != arrow::ipc::MessageType::SCHEMA) {
    AppendBytesHead(&head, kDataBody, static_cast<size_t>(payload.body_length));
  }
  const int64_t head_size = static_cast<int64_t>(head.size());
  if (payload.body_length > kMessageMaxBytes - head_size) {
    return InvalidArgument("a batch of " + std::to_string(payload.body_length) +
                           " bytes does not fit one message of 2 GiB: split it");
  }
  net::Message message = {Slice::Own(std::move(head))};
  if (payload.type != arrow::ipc::MessageType::SCHEMA) {
    AppendBody(payload, &message);
  }
  if (static_cast<int64_t>(TotalSize(message)) != head_size + payload.body_length) {
    return Internal("the IPC body is not as long as its metadata says");
  }
  return message;
}

}  // namespace

class BatchEncoder::State {
 public:
  explicit State(std::shared_ptr<arrow::Schema> schema) : schema_(std::move(schema)), mapper_(*schema_) {}

  Result<net::Message> Schema() {
    arrow::ipc::IpcPayload payload;
    LB_TRY(FromWriting(arrow::ipc::GetSchemaPayload(*schema_, options_, mapper_, &payload)));
    return ToFlightData(payload, {});
  }

  Result<std::vector<net::Message>> Batch(const arrow::RecordBatch& rows, std::string_view app_metadata) {
    if (!rows.schema()->Equals(*schema_, false)) {
      return InvalidArgument("the batch has other columns than the stream: " + rows.schema()->ToString());
    }
    std::vector<net::Message> messages;
    LB_TRY(AppendDictionaries(rows, &messages));
    arrow::ipc::IpcPayload payload;
    LB_TRY(FromWriting(arrow::ipc::GetRecordBatchPayload(rows, options_, &payload)));
    LB_ASSIGN(net::Message message, ToFlightData(payload, app_metadata));
    messages.push_back(std::move(message));
    return messages;
  }

 private:
  // Those that the reader does not have yet; a changed one replaces its predecessor.
  Status AppendDictionaries(const arrow::RecordBatch& rows, std::vector<net::Message>* messages) {
    const auto dictionaries = arrow::ipc::CollectDictionaries(rows, mapper_);
    LB_TRY(FromWriting(dictionaries.status()));
    for (const auto& [id, values] : *dictionaries) {
      std::shared_ptr<arrow::Array>& sent = sent_[id];
      if (sent != nullptr && (sent == values || sent->Equals(*values))) {
        continue;
      }
      arrow::ipc::IpcPayload payload;
      LB_TRY(FromWriting(arrow::ipc::GetDictionaryPayload(id, values, options_, &payload)));
      LB_ASSIGN(net::Message message, ToFlightData(payload, {}));
      messages->push_back(std::move(message));
      sent = values;
    }
    return {};
  }

  const std::shared_ptr<arrow::Schema> schema_;
  const arrow::ipc::DictionaryFieldMapper mapper_;
  const arrow::ipc::IpcWriteOptions options_ = arrow::ipc::IpcWriteOptions::Defaults();
  std::map<int64_t, std::shared_ptr<arrow::Array>> sent_;
};

BatchEncoder::BatchEncoder(std::shared_ptr<arrow::Schema> schema)
    : state_(std::make_unique<State>(std::move(schema))) {}
BatchEncoder::~BatchEncoder() = default;
Result<net::Message> BatchEncoder::Schema() { return state_->Schema(); }
Result<std::vector<net::Message>> BatchEncoder::Batch(const arrow::RecordBatch& rows, std::string_view app_metadata) {
  return state_->Batch(rows, app_metadata);
}

}  // namespace longbow::wire
