// Bodies of log records that are not rows. Little-endian; text = u32 size + bytes; the page is docs/formats/log.md.
//
//   kCreateCollection  text name, text schema (Arrow IPC schema message); the record's shard is the new one
//   kDropCollection    empty; the record's shard says which
//   kCreateNamespace, kDropNamespace   text name
//   kSetSchema         text schema: all of it, as it is from now on
//   kExpire            u64 time, ns since 1970: rows whose end it is, or was, are deleted
//   kDelete            u32 count, then per key: u8 0 + u64 number | u8 1 + text
//   kUpdate            u32 size + what kDelete has: the rows; then an Arrow IPC stream with one batch: their new
//   values,
//                      one row for all of them, or one for each
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/slice.h"
#include "base/status.h"
#include "model/row_key.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::engine {

struct CreateCollectionEntry {
  std::string name;
  std::shared_ptr<arrow::Schema> columns;
};

Result<Slice> EncodeCreateCollection(const CreateCollectionEntry& entry);
Result<CreateCollectionEntry> DecodeCreateCollection(const Slices& body);

Slice EncodeName(const std::string& name);
Result<std::string> DecodeName(const Slices& body);

Result<Slice> EncodeSetSchema(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::Schema>> DecodeSetSchema(const Slices& body);

Slice EncodeExpire(int64_t time_ns);
Result<int64_t> DecodeExpire(const Slices& body);

Slice EncodeKeys(const std::vector<RowKey>& keys);
Result<std::vector<RowKey>> DecodeKeys(const Slices& body);

struct UpdateEntry {
  std::vector<RowKey> keys;
  std::shared_ptr<arrow::RecordBatch> values;
};
Result<Slice> EncodeUpdate(const UpdateEntry& entry);
Result<UpdateEntry> DecodeUpdate(const Slices& body);

// One Arrow IPC stream with one batch. Columns are views of `body`, which they keep alive.
Result<std::shared_ptr<arrow::RecordBatch>> DecodeRows(const Slices& body);

Result<std::string> EncodeSchema(const arrow::Schema& schema);
Result<std::shared_ptr<arrow::Schema>> DecodeSchema(const std::string& bytes);

}  // namespace longbow::engine
