// A flatbuffer table is an int32 that points back to its vtable; the vtable holds, as uint16, its own size, the table's
// size, and each field's offset from the table (0 = absent). References are uint32 offsets from where they stand.
#include "wire/ipc_metadata.h"

#include <cstring>

namespace longbow::wire {
namespace {

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  bool Read(size_t at, T* value) const {
    if (at > bytes_.size() || sizeof(T) > bytes_.size() - at) {
      return false;
    }
    std::memcpy(value, bytes_.data() + at, sizeof(T));
    return true;
  }
  // Where the reference that stands at `at` points to.
  bool Follow(size_t at, size_t* target) const {
    uint32_t offset = 0;
    if (!Read(at, &offset) || offset == 0) {
      return false;
    }
    *target = at + offset;
    return *target < bytes_.size();
  }
  size_t size() const { return bytes_.size(); }

 private:
  const std::string_view bytes_;
};

class Table {
 public:
  static std::optional<Table> At(const Bytes& bytes, size_t at) {
    int32_t back = 0;
    Table table(bytes, at);
    if (!bytes.Read(at, &back)) {
      return std::nullopt;
    }
    const int64_t vtable = static_cast<int64_t>(at) - back;
    if (vtable < 0 || !bytes.Read(static_cast<size_t>(vtable), &table.vtable_size_) || table.vtable_size_ < 4) {
      return std::nullopt;
    }
    table.vtable_ = static_cast<size_t>(vtable);
    return table;
  }

  // Position of a field's value; 0 if the table does not have it.
  size_t Field(size_t index) const {
    const size_t entry = 4 + 2 * index;
    uint16_t offset = 0;
    if (entry + 2 > vtable_size_ || !bytes_.Read(vtable_ + entry, &offset) || offset == 0) {
      return 0;
    }
    return at_ + offset;
  }
  // A scalar field, or its default; false only if it points outside.
  template <typename T>
  bool Scalar(size_t index, T* value) const {
    const size_t at = Field(index);
    return at == 0 || bytes_.Read(at, value);
  }
  std::optional<Table> Child(size_t index) const {
    size_t target = 0;
    const size_t at = Field(index);
    if (at == 0 || !bytes_.Follow(at, &target)) {
      return std::nullopt;
    }
    return At(bytes_, target);
  }
  // A vector of structs of two int64; absent is empty.
  bool Pairs(size_t index, std::vector<IpcMetadata::Range>* pairs) const {
    const size_t at = Field(index);
    size_t vector = 0;
    uint32_t count = 0;
    if (at == 0) {
      return true;
    }
    if (!bytes_.Follow(at, &vector) || !bytes_.Read(vector, &count) ||
        count > (bytes_.size() - vector) / sizeof(IpcMetadata::Range)) {
      return false;
    }
    pairs->resize(count);
    for (size_t i = 0; i < count; ++i) {
      const size_t pair = vector + 4 + i * 16;
      if (!bytes_.Read(pair, &(*pairs)[i].offset) || !bytes_.Read(pair + 8, &(*pairs)[i].length)) {
        return false;
      }
    }
    return true;
  }

 private:
  Table(const Bytes& bytes, size_t at) : bytes_(bytes), at_(at) {}

  Bytes bytes_;
  size_t at_;
  size_t vtable_ = 0;
  uint16_t vtable_size_ = 0;
};

bool ReadBatch(const Table& batch, IpcMetadata* out) {
  std::vector<IpcMetadata::Range> nodes;  // length, null count
  if (!batch.Scalar(0, &out->rows) || !batch.Pairs(1, &nodes) || !batch.Pairs(2, &out->buffers)) {
    return false;
  }
  for (const IpcMetadata::Range& node : nodes) {
    out->node_lengths.push_back(node.offset);
  }
  out->compressed = batch.Field(3) != 0;
  return true;
}

bool ReadMessage(const Bytes& bytes, IpcMetadata* out) {
  size_t root = 0;
  if (!bytes.Follow(0, &root)) {
    return false;
  }
  const std::optional<Table> message = Table::At(bytes, root);
  uint8_t type = 0;
  if (!message || !message->Scalar(1, &type) || type > static_cast<uint8_t>(IpcMetadata::Type::kSparseTensor) ||
      !message->Scalar(3, &out->body_length)) {
    return false;
  }
  out->type = static_cast<IpcMetadata::Type>(type);
  const std::optional<Table> header = message->Child(2);
  if (!header) {
    return false;
  }
  if (out->type == IpcMetadata::Type::kBatch) {
    return ReadBatch(*header, out);
  }
  if (out->type == IpcMetadata::Type::kDictionary) {
    uint8_t delta = 0;
    const std::optional<Table> data = header->Child(1);
    const bool read =
        data && header->Scalar(0, &out->dictionary_id) && header->Scalar(2, &delta) && ReadBatch(*data, out);
    out->dictionary_delta = delta != 0;
    return read;
  }
  return true;
}

}  // namespace

Result<IpcMetadata> ReadIpcMetadata(std::string_view flatbuffer) {
  IpcMetadata metadata;
  if (!ReadMessage(Bytes(flatbuffer), &metadata)) {
    return InvalidArgument("the data header is no Arrow IPC message");
  }
  return metadata;
}

}  // namespace longbow::wire
