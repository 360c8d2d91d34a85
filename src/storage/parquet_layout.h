// How our Parquet files are written, and the Arrow schema they carry.
#pragma once

#include <arrow/result.h>
#include <arrow/type_fwd.h>
#include <parquet/exception.h>

#include <cstdint>
#include <exception>
#include <memory>

namespace arrow::io {
class OutputStream;
}
namespace parquet {
class FileMetaData;
}
namespace parquet::arrow {
class FileWriter;
}

namespace longbow::storage {

inline constexpr int64_t kRowGroupRows = 65'536;

// With page checksums, vectors in plain pages, and the schema inside. Invalid for a schema that Parquet cannot give
// back.
arrow::Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenParquetWriter(
    const std::shared_ptr<arrow::Schema>& schema, const std::shared_ptr<arrow::io::OutputStream>& sink);

// The schema that OpenParquetWriter was given; null in files that are not ours.
arrow::Result<std::shared_ptr<arrow::Schema>> StoredSchema(const parquet::FileMetaData& metadata);
// What was read from Parquet in the exact types of such a schema.
arrow::Result<std::shared_ptr<arrow::RecordBatch>> RestoreSchema(const arrow::RecordBatch& batch,
                                                                 const std::shared_ptr<arrow::Schema>& schema);

// Runs Arrow and Parquet code, of which some throws.
template <typename Run>
arrow::Status Caught(Run run) {
  try {
    return run();
  } catch (const parquet::ParquetStatusException& error) {
    return error.status();
  } catch (const std::exception& error) {
    return arrow::Status::UnknownError(error.what());
  }
}

}  // namespace longbow::storage
