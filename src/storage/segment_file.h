// Rows at rest: one Parquet file, complete and readable by any Parquet tool.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::storage {

// What the manifest keeps of a file so that damage is seen before its bytes are used.
struct FileDigest {
  uint64_t size_bytes = 0;
  uint32_t crc32c = 0;

  bool operator==(const FileDigest&) const = default;
};

// Writes the batches (all of `schema`) as one Parquet file with page checksums and the Arrow schema inside; synced
// before it returns. The file must not exist. After an error it may exist in part: names are never used twice.
Result<FileDigest> WriteSegmentFile(FileSystem& fs, const std::string& path,
                                    const std::shared_ptr<arrow::Schema>& schema,
                                    const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);

// Reads a file back, in order, after checking size and checksum. DATA_LOSS names file, expected and got.
Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> ReadSegmentFile(FileSystem& fs, const std::string& path,
                                                                         const FileDigest& digest);

// Only the row groups that hold rows [begin, end), each checked page by page, from a file of which other parts may be
// damaged. `first`: the row that the first batch begins with. DATA_LOSS names file and rows.
Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> ReadSegmentRows(FileSystem& fs, const std::string& path,
                                                                         uint64_t begin, uint64_t end, uint64_t* first);

// Reads the whole file and compares it with its digest: OK, DATA_LOSS, or CANCELLED once `keep_on`, asked for every
// megabyte, is false.
Status VerifySegmentFile(FileSystem& fs, const std::string& path, const FileDigest& digest,
                         const std::function<bool()>& keep_on);

}  // namespace longbow::storage
