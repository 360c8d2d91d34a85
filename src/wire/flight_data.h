// FlightData messages <-> Arrow, over Arrow's public IPC API only: nothing is copied on the way out, and each column is
// gathered once into aligned memory on the way in.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/slice.h"
#include "base/status.h"
#include "model/row_batch.h"
#include "net/net.h"
#include "wire/block_cache.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::wire {

struct Descriptor {
  enum class Type { kUnknown = 0, kPath = 1, kCommand = 2 };
  Type type = Type::kUnknown;
  std::string command;
  std::vector<std::string> path;
};

// One FlightData message, cut into its fields; the pieces still lie where the transport put them.
struct FlightData {
  std::optional<Descriptor> descriptor;
  std::string header;  // Arrow IPC message metadata (flatbuffer); empty if absent
  std::optional<std::string> app_metadata;
  Slices body;
};

// Any field order, the last of a repeated scalar wins, unknown fields are skipped. INVALID_ARGUMENT if malformed.
Result<FlightData> ParseFlightData(const net::Message& message);

// The IPC state of one incoming stream: a schema, then dictionaries and batches. Bytes are untrusted.
// One thread at a time. After an error every further Feed fails too.
class BatchDecoder {
 public:
  // Columns are gathered into memory of `cache`, which a door shares among its streams; null: a cache of its own.
  explicit BatchDecoder(std::shared_ptr<BlockCache> cache = nullptr);
  ~BatchDecoder();

  // The batch if the message completes one; nothing for a schema, a dictionary or a message of metadata only.
  // RowBatch::encoded keeps the received pieces alive. INVALID_ARGUMENT for anything malformed, RESOURCE_EXHAUSTED for
  // a batch over limits::kBatchSizeMaxBytes, dictionaries over limits::kDictionariesSizeMaxBytes, or no memory.
  Result<std::optional<RowBatch>> Feed(const FlightData& data);
  const std::shared_ptr<arrow::Schema>& schema() const;  // null before the schema message

 private:
  class State;
  std::unique_ptr<State> state_;
};

// Encodes `rows` as RowBatch::encoded wants it (for rows that did not come over the wire, and for replay tests).
Result<RowBatch> EncodeRows(std::shared_ptr<arrow::RecordBatch> rows);
// The inverse: one IPC stream with one batch, as the log holds it. Columns are aligned copies or views of `encoded`.
// DATA_LOSS if the bytes are no such stream.
Result<std::shared_ptr<arrow::RecordBatch>> DecodeRows(const Slices& encoded);

// Outgoing FlightData. Column buffers travel by reference and are held until sent. A batch over 2 GiB is refused
// (callers split). Dictionary batches needed by a batch come before it in the returned list.
class BatchEncoder {
 public:
  explicit BatchEncoder(std::shared_ptr<arrow::Schema> schema);
  ~BatchEncoder();
  Result<net::Message> Schema();
  // INVALID_ARGUMENT if the columns are not the schema's.
  Result<std::vector<net::Message>> Batch(const arrow::RecordBatch& rows, std::string_view app_metadata = {});

 private:
  class State;
  std::unique_ptr<State> state_;
};

// FlightData with only app_metadata; PutResult{app_metadata}; both as one message.
net::Message MetadataMessage(std::string_view app_metadata);
net::Message PutResultMessage(std::string_view app_metadata);

// One Arrow IPC stream (schema, one batch, end of stream) in one string: the VectorSearch action's result.
Result<std::string> IpcStream(const arrow::RecordBatch& rows);
// The encapsulated IPC schema message, as FlightInfo.schema and SchemaResult.schema carry it.
Result<std::string> IpcSchema(const arrow::Schema& schema);

}  // namespace longbow::wire
