// The columns of a segment file beside its vectors, as a mapped file: used where they are, without decoding.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/status.h"
#include "storage/mapped_file.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::storage {

// Writes the batches (all of `schema`), joined to such of up to 65,536 rows. As MappedFileWriter otherwise.
Result<FileDigest> WriteColumnsFile(FileSystem& fs, const std::string& path,
                                    const std::shared_ptr<arrow::Schema>& schema,
                                    const std::vector<std::shared_ptr<arrow::RecordBatch>>& batches);

// The batches again, in order, over mapped memory that they keep; every byte was checked, since Arrow follows the
// offsets in it. Errors as MappedFile::Open.
Result<std::vector<std::shared_ptr<arrow::RecordBatch>>> MapColumnsFile(FileSystem& fs, const std::string& path,
                                                                        const FileDigest& digest, uint64_t rows);

}  // namespace longbow::storage
