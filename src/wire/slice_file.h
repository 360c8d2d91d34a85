// Slices as an Arrow "file", so that Arrow's IPC reader fetches each column buffer by itself.
#pragma once

#include <memory>
#include <vector>

#include <arrow/io/interfaces.h>
#include <arrow/result.h>

#include "base/slice.h"
#include "wire/block_cache.h"

namespace longbow::wire {

// Reading a range gives a view where it lies 64-byte aligned within one slice, else one gathering copy into aligned
// memory: each byte is copied once at most, and columns nobody reads never. One thread at a time.
class SliceFile final : public arrow::io::RandomAccessFile {
 public:
  // `cache` may be null: then large ranges are plainly allocated.
  SliceFile(Slices slices, std::shared_ptr<BlockCache> cache);
  ~SliceFile() override;

  arrow::Status Close() override;
  bool closed() const override;
  arrow::Result<int64_t> Tell() const override;
  arrow::Status Seek(int64_t position) override;
  arrow::Result<int64_t> GetSize() override;
  // Sequential reads stop at the end; positioned ones fail (Invalid) if the range is not all there.
  arrow::Result<int64_t> Read(int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> Read(int64_t size) override;
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t size, void* out) override;
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size) override;
  // Forms with a hint, which has no meaning for memory.
  arrow::Result<int64_t> ReadAt(int64_t position, int64_t size, bool, void* out) override {
    return ReadAt(position, size, out);
  }
  arrow::Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t position, int64_t size, bool) override {
    return ReadAt(position, size);
  }

  // The pieces that make up a range, without copying. The caller keeps it inside the file.
  Slices Sub(int64_t position, int64_t size) const;

 private:
  arrow::Status CheckRange(int64_t position, int64_t size) const;
  size_t Find(int64_t position) const;

  const Slices slices_;
  std::vector<int64_t> ends_;  // running end offset of every slice
  const std::shared_ptr<BlockCache> cache_;
  int64_t size_ = 0;
  int64_t position_ = 0;
};

}  // namespace longbow::wire
