// Reads the input as a segment file: whole, as one whose digest is another, and row range by row range.
#include <arrow/record_batch.h>
#include <arrow/status.h>

#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/memory_file_system.h"
#include "storage/segment_file.h"

namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

uint64_t CheckedRows(const Batches& batches) {
  uint64_t rows = 0;
  for (const auto& batch : batches) {
    LB_CHECK(batch->ValidateFull().ok());
    rows += static_cast<uint64_t>(batch->num_rows());
  }
  return rows;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow;
  using namespace longbow::storage;
  constexpr char kPath[] = "/data/x.parquet";
  MemoryFileSystem fs;
  LB_CHECK(fs.CreateDirectories("/data").ok());
  LB_CHECK(WriteWholeFile(fs, kPath, std::string(reinterpret_cast<const char*>(data), size)).ok());
  const FileDigest digest{size, Crc32c(0, data, size)};
  LB_CHECK(VerifySegmentFile(fs, kPath, digest, [] { return true; }).ok());
  const auto all = ReadSegmentFile(fs, kPath, digest);
  LB_CHECK(all.ok() || all.status().code() == StatusCode::kDataLoss);
  const uint64_t rows = all.ok() ? CheckedRows(*all) : 8;
  for (const auto& [begin, end] :
       {std::pair<uint64_t, uint64_t>{0, rows}, {rows / 2, rows / 2 + 1}, {rows, rows + 1}}) {
    uint64_t first = 0;
    const auto part = ReadSegmentRows(fs, kPath, begin, end, &first);
    LB_CHECK(part.ok() || part.status().code() == StatusCode::kDataLoss);
    if (part.ok()) {
      LB_CHECK(first + CheckedRows(*part) >= end);
      LB_CHECK(begin == end || first <= begin);
    }
  }
  const Status damaged = ReadSegmentFile(fs, kPath, {size, ~digest.crc32c}).status();
  LB_CHECK(damaged.code() == StatusCode::kDataLoss);  // and which rows are lost was found out
  return 0;
}
