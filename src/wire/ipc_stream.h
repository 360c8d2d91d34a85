// Arrow's IPC stream format as slices: [0xFFFFFFFF, metadata size][metadata, padded to 8][body], message after message.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/slice.h"

namespace arrow {
class Buffer;
}
namespace arrow::ipc {
struct IpcPayload;
}

namespace longbow::wire {

// Prefix, metadata and padding of an encapsulated message.
std::string EncapsulatedHead(std::string_view metadata);
inline constexpr std::string_view kEndOfStream("\xff\xff\xff\xff\0\0\0\0", 8);

// The buffer as a slice that keeps it alive.
Slice SliceOf(std::shared_ptr<arrow::Buffer> buffer);
// A payload's body: its buffers, each padded to 8 bytes.
void AppendBody(const arrow::ipc::IpcPayload& payload, Slices* out);

}  // namespace longbow::wire
