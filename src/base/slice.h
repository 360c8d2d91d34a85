// A piece of immutable memory and what keeps it alive: how bytes travel from the socket to the log without a copy.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace longbow {

class Slice {
 public:
  Slice() = default;
  Slice(const uint8_t* data, size_t size, std::shared_ptr<const void> owner)
      : data_(data), size_(size), owner_(std::move(owner)) {}
  static Slice Own(std::string bytes) {
    auto owner = std::make_shared<const std::string>(std::move(bytes));
    const auto* data = reinterpret_cast<const uint8_t*>(owner->data());
    const size_t size = owner->size();
    return {data, size, std::move(owner)};
  }

  const uint8_t* data() const { return data_; }
  size_t size() const { return size_; }
  const uint8_t* begin() const { return data_; }
  const uint8_t* end() const { return data_ + size_; }
  const std::shared_ptr<const void>& owner() const { return owner_; }
  std::string_view view() const { return {reinterpret_cast<const char*>(data_), size_}; }
  // The part [offset, offset + size); the caller keeps it inside this slice.
  Slice Sub(size_t offset, size_t size) const { return {data_ + offset, size, owner_}; }

 private:
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<const void> owner_;
};

// Pieces that follow each other.
using Slices = std::vector<Slice>;

inline size_t TotalSize(const Slices& slices) {
  size_t size_bytes = 0;
  for (const Slice& slice : slices) {
    size_bytes += slice.size();
  }
  return size_bytes;
}

}  // namespace longbow
