// The few facts of an Arrow IPC message's metadata that decide, before Arrow sees it, whether to let it in.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace longbow::wire {

// One encapsulated message's flatbuffer (format: Arrow's Message.fbs). Offsets and lengths as claimed, not yet checked
// against a body.
struct IpcMetadata {
  enum class Type : uint8_t { kNone = 0, kSchema = 1, kDictionary = 2, kBatch = 3, kTensor = 4, kSparseTensor = 5 };
  struct Range {
    int64_t offset = 0;
    int64_t length = 0;
  };

  Type type = Type::kNone;
  int64_t body_length = 0;

  // Of a batch, or of the batch that carries a dictionary's values:
  int64_t rows = 0;
  std::vector<int64_t> node_lengths;  // values of each array, children included
  std::vector<Range> buffers;
  bool compressed = false;

  int64_t dictionary_id = 0;
  bool dictionary_delta = false;
};

// INVALID_ARGUMENT if the bytes are no such flatbuffer. Reads nothing outside of them.
Result<IpcMetadata> ReadIpcMetadata(std::string_view flatbuffer);

}  // namespace longbow::wire
