#include "wire/slice_file.h"

#include <arrow/buffer.h>
#include <arrow/memory_pool.h>
#include <arrow/result.h>

#include <algorithm>
#include <cstring>

namespace longbow::wire {
namespace {

constexpr size_t kAlignment = 64;
constexpr int64_t kCachedMinBytes = 64 << 10;  // smaller ones come from Arrow's pool

class SliceView final : public arrow::Buffer {
 public:
  explicit SliceView(Slice slice)
      : Buffer(slice.data(), static_cast<int64_t>(slice.size())), slice_(std::move(slice)) {}

 private:
  const Slice slice_;
};

}  // namespace

SliceFile::SliceFile(Slices slices, std::shared_ptr<BlockCache> cache)
    : slices_(std::move(slices)), cache_(std::move(cache)) {
  ends_.reserve(slices_.size());
  for (const Slice& slice : slices_) {
    size_ += static_cast<int64_t>(slice.size());
    ends_.push_back(size_);
  }
}

SliceFile::~SliceFile() = default;

arrow::Status SliceFile::Close() { return arrow::Status::OK(); }
bool SliceFile::closed() const { return false; }
arrow::Result<int64_t> SliceFile::Tell() const { return position_; }
arrow::Result<int64_t> SliceFile::GetSize() { return size_; }

arrow::Status SliceFile::Seek(int64_t position) {
  ARROW_RETURN_NOT_OK(CheckRange(position, 0));
  position_ = position;
  return arrow::Status::OK();
}

arrow::Status SliceFile::CheckRange(int64_t position, int64_t size) const {
  if (position < 0 || size < 0 || position > size_ || size > size_ - position) {
    return arrow::Status::Invalid("range [", position, ", +", size, ") is outside of the ", size_, " bytes");
  }
  return arrow::Status::OK();
}

size_t SliceFile::Find(int64_t position) const {
  return static_cast<size_t>(std::upper_bound(ends_.begin(), ends_.end(), position) - ends_.begin());
}

Slices SliceFile::Sub(int64_t position, int64_t size) const {
  Slices pieces;
  for (size_t i = Find(position); size > 0; ++i) {
    const int64_t begin = position - (ends_[i] - static_cast<int64_t>(slices_[i].size()));
    const int64_t taken = std::min(ends_[i] - position, size);
    if (taken > 0) {
      pieces.push_back(slices_[i].Sub(static_cast<size_t>(begin), static_cast<size_t>(taken)));
    }
    position += taken;
    size -= taken;
  }
  return pieces;
}

arrow::Result<int64_t> SliceFile::ReadAt(int64_t position, int64_t size, void* out) {
  ARROW_RETURN_NOT_OK(CheckRange(position, size));
  auto* to = static_cast<uint8_t*>(out);
  for (const Slice& piece : Sub(position, size)) {
    std::memcpy(to, piece.data(), piece.size());
    to += piece.size();
  }
  return size;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> SliceFile::ReadAt(int64_t position, int64_t size) {
  ARROW_RETURN_NOT_OK(CheckRange(position, size));
  if (size == 0) {
    return std::make_shared<arrow::Buffer>(nullptr, 0);
  }
  const size_t first = Find(position);
  const Slice& slice = slices_[first];
  const int64_t begin = position - (ends_[first] - static_cast<int64_t>(slice.size()));
  const bool aligned = reinterpret_cast<uintptr_t>(slice.data() + begin) % kAlignment == 0;
  if (position + size <= ends_[first] && aligned) {
    return std::make_shared<SliceView>(slice.Sub(static_cast<size_t>(begin), static_cast<size_t>(size)));
  }
  std::shared_ptr<arrow::Buffer> copy;
  if (cache_ != nullptr && size >= kCachedMinBytes) {
    copy = cache_->Allocate(static_cast<size_t>(size));
    if (copy == nullptr) {
      return arrow::Status::OutOfMemory("no memory for a column of ", size, " bytes");
    }
  } else {
    ARROW_ASSIGN_OR_RAISE(copy, arrow::AllocateBuffer(size));
  }
  ARROW_RETURN_NOT_OK(ReadAt(position, size, copy->mutable_data()));
  return copy;
}

arrow::Result<int64_t> SliceFile::Read(int64_t size, void* out) {
  const int64_t available = std::min(size, size_ - position_);
  ARROW_ASSIGN_OR_RAISE(const int64_t read, ReadAt(position_, available, out));
  position_ += read;
  return read;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> SliceFile::Read(int64_t size) {
  const int64_t available = std::min(size, size_ - position_);
  ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(position_, available));
  position_ += available;
  return buffer;
}

}  // namespace longbow::wire
