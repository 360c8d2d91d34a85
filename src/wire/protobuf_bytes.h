// Protobuf's encoding by hand, for messages whose bodies must not be copied: reading across slices, writing heads.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

#include "base/slice.h"

namespace longbow::wire {

enum class FieldKind : uint8_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

// Walks slices from front to back. Every step says whether the bytes were there.
class ProtobufCursor {
 public:
  explicit ProtobufCursor(const Slices& slices) : slices_(slices), left_(TotalSize(slices)) { SkipEmpty(); }

  bool done() const { return left_ == 0; }
  size_t left() const { return left_; }

  bool Varint(uint64_t* value) {
    *value = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (done()) {
        return false;
      }
      const uint8_t byte = slices_[slice_].data()[offset_];
      Advance(1);
      if (shift == 63 && byte > 1) {
        return false;
      }
      *value |= static_cast<uint64_t>(byte & 127) << shift;
      if (byte < 128) {
        return true;
      }
    }
    return false;
  }

  bool Skip(size_t size) {
    return Each(size, [](const uint8_t*, size_t) {});
  }
  bool Copy(size_t size, std::string* out) {
    if (size > left_) {
      return false;  // before making room for what is not there
    }
    out->clear();
    out->reserve(size);
    return Each(size,
                [&](const uint8_t* data, size_t taken) { out->append(reinterpret_cast<const char*>(data), taken); });
  }
  // The bytes where they lie.
  bool Take(size_t size, Slices* out) {
    out->clear();
    return Each(size, [&](const uint8_t*, size_t taken) { out->push_back(slices_[slice_].Sub(offset_, taken)); });
  }

 private:
  template <typename Use>
  bool Each(size_t size, Use use) {
    if (size > left_) {
      return false;
    }
    while (size > 0) {
      const size_t taken = std::min(size, slices_[slice_].size() - offset_);
      use(slices_[slice_].data() + offset_, taken);
      Advance(taken);
      size -= taken;
    }
    return true;
  }
  void Advance(size_t size) {
    offset_ += size;
    left_ -= size;
    SkipEmpty();
  }
  void SkipEmpty() {
    while (slice_ < slices_.size() && offset_ == slices_[slice_].size()) {
      ++slice_;
      offset_ = 0;
    }
  }

  const Slices& slices_;
  size_t slice_ = 0;
  size_t offset_ = 0;
  size_t left_;
};

inline void AppendVarint(std::string* out, uint64_t value) {
  for (; value > 127; value >>= 7) {
    out->push_back(static_cast<char>((value & 127) | 128));
  }
  out->push_back(static_cast<char>(value));
}

// Tag and length of a bytes field; the bytes themselves follow.
inline void AppendBytesHead(std::string* out, uint32_t field, size_t size) {
  AppendVarint(out, field << 3 | static_cast<uint32_t>(FieldKind::kBytes));
  AppendVarint(out, size);
}

inline void AppendBytes(std::string* out, uint32_t field, std::string_view bytes) {
  AppendBytesHead(out, field, bytes.size());
  out->append(bytes);
}

}  // namespace longbow::wire
