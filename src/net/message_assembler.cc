#include "net/message_assembler.h"

#include <algorithm>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

namespace longbow::net {

struct MessageAssembler::Block {
  Block(std::shared_ptr<ReceiveBudget> budget, size_t size_bytes)
      : bytes(size_bytes), charge(std::move(budget), size_bytes) {}
  std::vector<uint8_t> bytes;
  Charge charge;
};

void MessageAssembler::Append(Slice slice) {
  if (slice.size() > 0) {
    held_bytes_ += slice.size();
    pieces_.push_back(std::move(slice));
  }
}

// A message that dribbles in byte by byte ends up in few large blocks; one slice per byte would cost a hundred times
// its size. The first block is exact, because most small messages come in one piece.
void MessageAssembler::AppendCopy(std::span<const uint8_t> bytes) {
  constexpr size_t kBlockSizeBytes = 16u << 10;
  if (bytes.empty()) {
    return;
  }
  if (block_ == nullptr || block_->bytes.size() - block_used_bytes_ < bytes.size()) {
    block_ = std::make_shared<Block>(budget_, pieces_.empty() ? bytes.size() : std::max(kBlockSizeBytes, bytes.size()));
    block_used_bytes_ = 0;
  }
  uint8_t* const to = block_->bytes.data() + block_used_bytes_;
  std::memcpy(to, bytes.data(), bytes.size());
  const bool continues = block_used_bytes_ > 0 && !pieces_.empty() && pieces_.back().end() == to;
  block_used_bytes_ += bytes.size();
  held_bytes_ += bytes.size();
  if (continues) {
    const Slice& last = pieces_.back();
    pieces_.back() = Slice(last.data(), last.size() + bytes.size(), block_);
  } else {
    pieces_.emplace_back(to, bytes.size(), block_);
  }
}

Result<std::optional<Message>> MessageAssembler::Take() {
  return framing_ == Framing::kGrpc ? TakeGrpc() : TakeWholeBody();
}

Result<std::optional<Message>> MessageAssembler::TakeGrpc() {
  whole_taken_ = true;
  if (!length_ && held_bytes_ >= kPrefixSizeBytes) {
    LB_TRY(ReadPrefix());
  }
  if (length_ && held_bytes_ >= *length_) {
    Message message = Cut(*length_);
    length_.reset();
    return std::optional<Message>(std::move(message));
  }
  if (ended_ && !AtBoundary()) {
    return InvalidArgument("the request ended inside a message: got " + std::to_string(held_bytes_) + " bytes" +
                           (length_ ? ", announced " + std::to_string(*length_) : " of its 5-byte prefix"));
  }
  return std::optional<Message>();
}

Status MessageAssembler::ReadPrefix() {
  uint8_t prefix[kPrefixSizeBytes];
  size_t at = 0;
  for (const Slice& piece : Cut(kPrefixSizeBytes)) {
    std::memcpy(prefix + at, piece.data(), piece.size());
    at += piece.size();
  }
  const size_t length = size_t{prefix[1]} << 24 | size_t{prefix[2]} << 16 | size_t{prefix[3]} << 8 | size_t{prefix[4]};
  if (prefix[0] > 1) {
    return InvalidArgument("gRPC message prefix: compressed flag is " + std::to_string(prefix[0]) + ", must be 0 or 1");
  }
  if (prefix[0] == 1) {
    return Unimplemented("compressed gRPC message: this server reads grpc-encoding identity only");
  }
  if (length > message_max_bytes_) {
    return TooLarge(length);
  }
  length_ = length;
  return {};
}

Result<std::optional<Message>> MessageAssembler::TakeWholeBody() {
  if (held_bytes_ > message_max_bytes_) {
    return TooLarge(held_bytes_);
  }
  if (!ended_ || whole_taken_) {
    return std::optional<Message>();
  }
  whole_taken_ = true;
  return std::optional<Message>(Cut(held_bytes_));
}

Status MessageAssembler::TooLarge(size_t size_bytes) const {
  return ResourceExhausted("Received message larger than max (" + std::to_string(size_bytes) + " vs. " +
                           std::to_string(message_max_bytes_) + ")");
}

Message MessageAssembler::Cut(size_t size_bytes) {
  Message front;
  held_bytes_ -= size_bytes;
  size_t whole = 0;
  while (size_bytes > 0) {
    Slice& piece = pieces_[whole];
    if (size_bytes < piece.size()) {
      front.push_back(piece.Sub(0, size_bytes));
      piece = piece.Sub(size_bytes, piece.size() - size_bytes);
      break;
    }
    size_bytes -= piece.size();
    front.push_back(std::move(piece));
    ++whole;
  }
  pieces_.erase(pieces_.begin(), pieces_.begin() + static_cast<ptrdiff_t>(whole));
  return front;
}

}  // namespace longbow::net
