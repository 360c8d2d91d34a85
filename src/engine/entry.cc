#include "engine/entry.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/api.h>

#include <cstring>

#include "engine/arrow_status.h"

namespace longbow::engine {
namespace {

void PutU32(std::string& out, uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<char>(value >> shift & 0xff));
  }
}

void PutU64(std::string& out, uint64_t value) {
  PutU32(out, static_cast<uint32_t>(value));
  PutU32(out, static_cast<uint32_t>(value >> 32));
}

void PutText(std::string& out, std::string_view text) {
  PutU32(out, static_cast<uint32_t>(text.size()));
  out.append(text);
}

// Reads what the functions above wrote; the first read past the end makes it fail for good.
class Reader {
 public:
  explicit Reader(std::string_view bytes) : rest_(bytes) {}

  std::string_view Bytes(size_t size) {
    if (size > rest_.size()) {
      failed_ = true;
      rest_ = {};
      return {};
    }
    const std::string_view head = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return head;
  }
  uint64_t Number(size_t size) {
    uint64_t value = 0;
    const std::string_view bytes = Bytes(size);
    for (size_t i = 0; i < bytes.size(); ++i) {
      value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    }
    return value;
  }
  std::string Text() { return std::string(Bytes(Number(4))); }
  Status Finish(std::string_view what) const {
    if (failed_ || !rest_.empty()) {
      return DataLoss("log record '" + std::string(what) + "' does not have the size its fields ask for");
    }
    return {};
  }
  bool failed() const { return failed_; }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

void PutKeys(std::string& out, const std::vector<RowKey>& keys) {
  PutU32(out, static_cast<uint32_t>(keys.size()));
  for (const RowKey& key : keys) {
    out.push_back(static_cast<char>(key.index()));
    if (const auto* number = std::get_if<uint64_t>(&key)) {
      PutU64(out, *number);
    } else {
      PutText(out, std::get<std::string>(key));
    }
  }
}

Result<std::vector<RowKey>> KeysIn(std::string_view bytes, std::string_view what) {
  Reader reader(bytes);
  const uint64_t count = reader.Number(4);
  std::vector<RowKey> keys;
  for (uint64_t i = 0; i < count && !reader.failed(); ++i) {
    if (reader.Number(1) == 0) {
      keys.emplace_back(reader.Number(8));
    } else {
      keys.emplace_back(reader.Text());
    }
  }
  LB_TRY(reader.Finish(what));
  return keys;
}

// Small records only: rows are never joined.
std::string Joined(const Slices& body) {
  std::string bytes;
  for (const Slice& slice : body) {
    bytes.append(slice.view());
  }
  return bytes;
}

// Slices as one Arrow buffer: in place if there is one piece (replay), joined otherwise.
std::shared_ptr<arrow::Buffer> AsBuffer(const Slices& body) {
  if (body.size() == 1) {
    class View final : public arrow::Buffer {
     public:
      explicit View(const Slice& slice)
          : Buffer(slice.data(), static_cast<int64_t>(slice.size())), owner_(slice.owner()) {}

     private:
      std::shared_ptr<const void> owner_;
    };
    return std::make_shared<View>(body.front());
  }
  return arrow::Buffer::FromString(Joined(body));
}

}  // namespace

Result<Slice> EncodeCreateCollection(const CreateCollectionEntry& entry) {
  LB_ASSIGN(const std::string schema, EncodeSchema(*entry.columns));
  std::string bytes;
  PutText(bytes, entry.name);
  PutText(bytes, schema);
  return Slice::Own(std::move(bytes));
}

Result<CreateCollectionEntry> DecodeCreateCollection(const Slices& body) {
  const std::string bytes = Joined(body);
  Reader reader(bytes);
  CreateCollectionEntry entry;
  entry.name = reader.Text();
  const std::string schema = reader.Text();
  LB_TRY(reader.Finish("create collection"));
  LB_ASSIGN(entry.columns, DecodeSchema(schema));
  return entry;
}

Slice EncodeName(const std::string& name) {
  std::string bytes;
  PutText(bytes, name);
  return Slice::Own(std::move(bytes));
}

Result<std::string> DecodeName(const Slices& body) {
  const std::string bytes = Joined(body);
  Reader reader(bytes);
  std::string name = reader.Text();
  LB_TRY(reader.Finish("namespace"));
  return name;
}

Result<Slice> EncodeSetSchema(const arrow::Schema& schema) {
  LB_ASSIGN(const std::string encoded, EncodeSchema(schema));
  std::string bytes;
  PutText(bytes, encoded);
  return Slice::Own(std::move(bytes));
}

Result<std::shared_ptr<arrow::Schema>> DecodeSetSchema(const Slices& body) {
  const std::string bytes = Joined(body);
  Reader reader(bytes);
  const std::string schema = reader.Text();
  LB_TRY(reader.Finish("set schema"));
  return DecodeSchema(schema);
}

Slice EncodeExpire(int64_t time_ns) {
  std::string bytes;
  PutU64(bytes, static_cast<uint64_t>(time_ns));
  return Slice::Own(std::move(bytes));
}

Result<int64_t> DecodeExpire(const Slices& body) {
  const std::string bytes = Joined(body);
  Reader reader(bytes);
  const auto time_ns = static_cast<int64_t>(reader.Number(8));
  LB_TRY(reader.Finish("expire"));
  return time_ns;
}

Slice EncodeKeys(const std::vector<RowKey>& keys) {
  std::string bytes;
  PutKeys(bytes, keys);
  return Slice::Own(std::move(bytes));
}

Result<std::vector<RowKey>> DecodeKeys(const Slices& body) {
  const std::string bytes = Joined(body);
  return KeysIn(bytes, "delete");
}

Result<Slice> EncodeUpdate(const UpdateEntry& entry) {
  std::string keys;
  PutKeys(keys, entry.keys);
  LB_ASSIGN_ARROW(const auto sink, arrow::io::BufferOutputStream::Create());
  LB_ASSIGN_ARROW(const auto writer, arrow::ipc::MakeStreamWriter(sink, entry.values->schema()));
  LB_TRY_ARROW(writer->WriteRecordBatch(*entry.values));
  LB_TRY_ARROW(writer->Close());
  LB_ASSIGN_ARROW(const std::shared_ptr<arrow::Buffer> values, sink->Finish());
  std::string bytes;
  PutText(bytes, keys);
  bytes.append(reinterpret_cast<const char*>(values->data()), static_cast<size_t>(values->size()));
  return Slice::Own(std::move(bytes));
}

Result<UpdateEntry> DecodeUpdate(const Slices& body) {
  std::string bytes = Joined(body);
  Reader reader(bytes);
  const std::string keys = reader.Text();
  if (reader.failed()) {
    return DataLoss("log record 'update' ends within its keys");
  }
  UpdateEntry entry;
  LB_ASSIGN(entry.keys, KeysIn(keys, "update"));
  // A string of their own: Arrow wants its buffers aligned.
  LB_ASSIGN(entry.values, DecodeRows({Slice::Own(bytes.substr(keys.size() + sizeof(uint32_t)))}));
  return entry;
}

Result<std::shared_ptr<arrow::RecordBatch>> DecodeRows(const Slices& body) {
  arrow::io::BufferReader input(AsBuffer(body));
  LB_ASSIGN_ARROW(const auto reader, arrow::ipc::RecordBatchStreamReader::Open(&input));
  std::shared_ptr<arrow::RecordBatch> rows;
  LB_TRY_ARROW(reader->ReadNext(&rows));
  if (rows == nullptr) {
    return DataLoss("log record 'rows' holds no record batch");
  }
  return rows;
}

Result<std::string> EncodeSchema(const arrow::Schema& schema) {
  LB_ASSIGN_ARROW(const std::shared_ptr<arrow::Buffer> bytes, arrow::ipc::SerializeSchema(schema));
  return bytes->ToString();
}

Result<std::shared_ptr<arrow::Schema>> DecodeSchema(const std::string& bytes) {
  arrow::io::BufferReader input(arrow::Buffer::FromString(bytes));
  arrow::ipc::DictionaryMemo dictionaries;
  LB_ASSIGN_ARROW(std::shared_ptr<arrow::Schema> schema, arrow::ipc::ReadSchema(&input, &dictionaries));
  return schema;
}

}  // namespace longbow::engine
