#include "storage/file_streams.h"

#include <arrow/status.h>

#include "base/crc32c.h"

namespace longbow::storage {
namespace {

constexpr size_t kPendingBytes = 1u << 20;

arrow::Status ToArrow(const Status& status) { return arrow::Status::IOError(status.ToString()); }

}  // namespace

SummingOutputStream::SummingOutputStream(File& file) : file_(file) {
  set_mode(arrow::io::FileMode::WRITE);
  pending_.reserve(kPendingBytes);
}

arrow::Status SummingOutputStream::Write(const void* data, int64_t size) {
  const auto* bytes = static_cast<const uint8_t*>(data);
  const auto count = static_cast<size_t>(size);
  if (pending_.size() + count > kPendingBytes) {
    ARROW_RETURN_NOT_OK(Flush());
  }
  digest_.crc32c = Crc32c(digest_.crc32c, bytes, count);
  digest_.size_bytes += count;
  if (count > kPendingBytes) {
    return WriteThrough(bytes, count);
  }
  pending_.insert(pending_.end(), bytes, bytes + count);
  return arrow::Status::OK();
}

arrow::Status SummingOutputStream::Flush() {
  ARROW_RETURN_NOT_OK(WriteThrough(pending_.data(), pending_.size()));
  pending_.clear();
  return arrow::Status::OK();
}

// Writes the last `size` bytes of what was summed up so far.
arrow::Status SummingOutputStream::WriteThrough(const uint8_t* data, size_t size) {
  if (error_.ok()) {
    error_ = file_.WriteAt(digest_.size_bytes - size, {Slice(data, size, nullptr)});
  }
  return error_.ok() ? arrow::Status::OK() : ToArrow(error_);
}

arrow::Status SummingOutputStream::Close() {
  closed_ = true;
  return Flush();
}

arrow::Result<int64_t> InputFile::ReadAt(int64_t position, int64_t size, void* out) {
  if (position < 0 || size < 0) {
    return arrow::Status::Invalid("negative position or size");
  }
  const Result<size_t> got =
      file_->ReadAt(static_cast<uint64_t>(position), {static_cast<uint8_t*>(out), static_cast<size_t>(size)});
  if (!got.ok()) {
    return ToArrow(got.status());
  }
  return static_cast<int64_t>(*got);
}

arrow::Result<std::shared_ptr<arrow::Buffer>> InputFile::ReadAt(int64_t position, int64_t size) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::ResizableBuffer> buffer, arrow::AllocateResizableBuffer(size));
  ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadAt(position, size, buffer->mutable_data()));
  ARROW_RETURN_NOT_OK(buffer->Resize(got, /*shrink_to_fit=*/false));
  return buffer;
}

arrow::Result<int64_t> InputFile::Read(int64_t size, void* out) {
  ARROW_ASSIGN_OR_RAISE(const int64_t got, ReadAt(position_, size, out));
  position_ += got;
  return got;
}

arrow::Result<std::shared_ptr<arrow::Buffer>> InputFile::Read(int64_t size) {
  ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Buffer> buffer, ReadAt(position_, size));
  position_ += buffer->size();
  return buffer;
}

arrow::Status InputFile::Seek(int64_t position) {
  position_ = position;
  return arrow::Status::OK();
}

arrow::Status InputFile::Close() {
  closed_ = true;
  return arrow::Status::OK();
}

}  // namespace longbow::storage
