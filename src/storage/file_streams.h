// Our files as Arrow's streams, so that Parquet reads and writes through base/file.h.
#pragma once

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "storage/segment_file.h"

namespace longbow::storage {

// Writes a new file from its beginning and sums it up on the way. For one thread. The file outlives the stream.
class SummingOutputStream final : public arrow::io::OutputStream {
 public:
  explicit SummingOutputStream(File& file);

  // What was written, and its checksum; right after Close.
  const FileDigest& digest() const { return digest_; }
  // The first error of the file, before Arrow's kind of status took its code away.
  const Status& error() const { return error_; }

  arrow::Status Write(const void* data, int64_t size) override;
  using arrow::io::Writable::Write;
  arrow::Status Close() override;
  arrow::Result<int64_t> Tell() const override { return static_cast<int64_t>(digest_.size_bytes); }
  bool closed() const override { return closed_; }

 private:
  arrow::Status Flush() override;
  arrow::Status WriteThrough(const uint8_t* data, size_t size);

  File& file_;
  std::vector<uint8_t> pending_;  // the last bytes of digest_.size_bytes, not yet in the file
  FileDigest digest_;
  Status error_;
  bool closed_ = false;
};

// Reads a file; ReadAt is thread safe. Owns the file.
class InputFile final : public arrow::io::RandomAccessFile {
 public:
  InputFile(std::unique_ptr<File> file, uint64_t size) : file_(std::move(file)), size_(static_cast<int64_t>(size)) {}

  arrow::Result<int64_t> GetSize() override { return size_; }
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override;
  arrow::Result<int64_t> Read(int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override;
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> Tell() const override { return position_; }
  arrow::Status Close() override;
  bool closed() const override { return closed_; }

 private:
  const std::unique_ptr<File> file_;
  const int64_t size_;
  int64_t position_ = 0;
  bool closed_ = false;
};

}  // namespace longbow::storage
