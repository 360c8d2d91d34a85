// The rows of a segment as Arrow batches, in row order.
#pragma once

#include <arrow/record_batch.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace longbow::engine {

struct Chunk {
  uint32_t first_row = 0;  // local id of its first row
  std::shared_ptr<arrow::RecordBatch> rows;

  uint32_t end_row() const { return first_row + static_cast<uint32_t>(rows->num_rows()); }
};

// Grows at the end by one writer while readers use the first `count` chunks they were told of; never reallocates: a
// full list is replaced by a larger copy, and readers keep the one they pinned.
class ChunkList {
 public:
  explicit ChunkList(size_t capacity) { chunks_.reserve(capacity); }

  bool full() const { return chunks_.size() == chunks_.capacity(); }
  void Append(Chunk chunk) { chunks_.push_back(std::move(chunk)); }
  const Chunk* data() const { return chunks_.data(); }

 private:
  std::vector<Chunk> chunks_;
};

// A reader's view: the first `count` chunks of a list.
struct Chunks {
  std::shared_ptr<const ChunkList> list;
  size_t count = 0;

  const Chunk* begin() const { return list ? list->data() : nullptr; }
  const Chunk* end() const { return begin() + count; }
  // The chunk that holds a row below the end of the last one.
  const Chunk& Find(uint32_t row) const;
};

}  // namespace longbow::engine
