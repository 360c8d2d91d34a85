// Puts received bytes together to messages: gRPC's length-prefixed ones, or a whole HTTP body as one.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>

#include "base/slice.h"
#include "base/status.h"
#include "net/net.h"
#include "net/receive_budget.h"

namespace longbow::net {

// gRPC on the wire: message := compressed_flag:uint8 length:uint32 (big endian) bytes[length]. Messages may begin and
// end anywhere in the frames that carry them. Not thread safe; one per call.
class MessageAssembler {
 public:
  enum class Framing { kGrpc, kWholeBody };
  static constexpr size_t kPrefixSizeBytes = 5;

  MessageAssembler(Framing framing, size_t message_max_bytes, std::shared_ptr<ReceiveBudget> budget)
      : framing_(framing), message_max_bytes_(message_max_bytes), budget_(std::move(budget)) {}

  // Bytes below this size are better copied: keeping them would keep the much larger buffer they were received in.
  static constexpr size_t kCopyBelowBytes = 1024;
  void Append(Slice slice);
  void AppendCopy(std::span<const uint8_t> bytes);
  void End() { ended_ = true; }

  // The next message if it is complete, nothing if more bytes are needed or there are none any more (`AtEnd`).
  // Errors: RESOURCE_EXHAUSTED for one above the limit, as soon as its length is known; UNIMPLEMENTED for a compressed
  // one; INVALID_ARGUMENT if the stream ended inside one. After an error nothing more can be taken.
  Result<std::optional<Message>> Take();
  bool AtEnd() const { return ended_ && whole_taken_ && held_bytes_ == 0; }
  // Between two messages: no byte of the next one came.
  bool AtBoundary() const { return held_bytes_ == 0 && !length_; }

 private:
  Result<std::optional<Message>> TakeGrpc();
  Result<std::optional<Message>> TakeWholeBody();
  Status ReadPrefix();
  Status TooLarge(size_t size_bytes) const;
  // Removes the first `size_bytes` bytes and gives them back.
  Message Cut(size_t size_bytes);

  const Framing framing_;
  const size_t message_max_bytes_;
  const std::shared_ptr<ReceiveBudget> budget_;
  Slices pieces_;
  size_t held_bytes_ = 0;         // in pieces_
  std::optional<size_t> length_;  // of the message whose prefix was read
  bool ended_ = false;
  bool whole_taken_ = false;  // the body was handed out, or framing is gRPC and there is no "whole"

  struct Block;
  std::shared_ptr<Block> block_;  // where copied bytes go
  size_t block_used_bytes_ = 0;
};

}  // namespace longbow::net
