// Tables that leave and enter: Parquet and Arrow IPC files of anybody's.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/file.h"
#include "base/status.h"

namespace arrow {
class RecordBatch;
class Schema;
}  // namespace arrow

namespace longbow::storage {

// Writes a new file, Parquet if its name ends in .parquet, Arrow IPC if in .arrow or .feather. It has its name,
// durably, once Finish returned OK; destroyed without, there is nothing. One thread.
class TableFileWriter {
 public:
  // INVALID_ARGUMENT for another ending or a schema that cannot be stored, ALREADY_EXISTS if the file does.
  static Result<std::unique_ptr<TableFileWriter>> Create(FileSystem& fs, const std::string& path,
                                                         const std::shared_ptr<arrow::Schema>& schema);
  virtual ~TableFileWriter() = default;
  // Batches of the schema's types.
  virtual Status Append(const std::shared_ptr<arrow::RecordBatch>& batch) = 0;
  virtual Status Finish() = 0;
};

// Reads such a file from its beginning, whatever its name. One thread.
class TableFileReader {
 public:
  // INVALID_ARGUMENT, with the path, if it is neither, or damaged.
  static Result<std::unique_ptr<TableFileReader>> Open(FileSystem& fs, const std::string& path);
  virtual ~TableFileReader() = default;
  virtual const std::shared_ptr<arrow::Schema>& schema() const = 0;
  // Null at the end. INVALID_ARGUMENT if it cannot be decoded.
  virtual Result<std::shared_ptr<arrow::RecordBatch>> Next() = 0;
};

}  // namespace longbow::storage
