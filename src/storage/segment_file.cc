#include "storage/segment_file.h"

#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <filesystem>

#include "base/crc32c.h"
#include "base/kill_point.h"
#include "storage/file_streams.h"
#include "storage/parquet_layout.h"

namespace longbow::storage {
namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

constexpr size_t kCheckBytes = 1u << 20;

arrow::Result<std::shared_ptr<arrow::Table>> ToTable(const std::shared_ptr<arrow::Schema>& schema,
                                                     const Batches& batches) {
  Batches uniform;
  uniform.reserve(batches.size());
  for (const auto& batch : batches) {
    if (!batch->schema()->Equals(*schema, /*check_metadata=*/false)) {
      return arrow::Status::Invalid("a batch has schema ", batch->schema()->ToString(), " instead of ",
                                    schema->ToString());
    }
    uniform.push_back(arrow::RecordBatch::Make(schema, batch->num_rows(), batch->columns()));
  }
  return arrow::Table::FromRecordBatches(schema, uniform);
}

arrow::Status WriteParquet(const std::shared_ptr<arrow::Schema>& schema, const Batches& batches,
                           const std::shared_ptr<SummingOutputStream>& sink) {
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Table> table, ToTable(schema, batches));
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<parquet::arrow::FileWriter> writer, OpenParquetWriter(schema, sink));
  ARROW_RETURN_NOT_OK(writer->WriteTable(*table, kRowGroupRows));
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Close();
}

Status CheckDigest(File& file, const FileDigest& expected, const std::function<bool()>& keep_on) {
  LB_ASSIGN(const uint64_t size, file.Size());
  if (size != expected.size_bytes) {
    return DataLoss("segment file '" + file.path() + "' is damaged: expected " + std::to_string(expected.size_bytes) +
                    " bytes, got " + std::to_string(size) + "; restore it from a snapshot");
  }
  std::vector<uint8_t> bytes(std::min<uint64_t>(kCheckBytes, size));
  uint32_t crc = 0;
  for (uint64_t offset = 0; offset < size; offset += bytes.size()) {
    if (!keep_on()) {
      return Cancelled("the check of '" + file.path() + "' was interrupted");
    }
    bytes.resize(std::min<uint64_t>(bytes.size(), size - offset));
    LB_ASSIGN(const size_t got, file.ReadAt(offset, bytes));
    crc = Crc32c(crc, bytes.data(), got);
  }
  if (crc != expected.crc32c) {
    return DataLoss("segment file '" + file.path() + "' is damaged: expected CRC32C " +
                    std::to_string(expected.crc32c) + ", got " + std::to_string(crc) + "; restore it from a snapshot");
  }
  return {};
}

arrow::Status AppendBatches(const arrow::Table& table, const std::shared_ptr<arrow::Schema>& schema, Batches& out) {
  arrow::TableBatchReader reader(table);
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader.ReadNext(&batch));
    if (batch == nullptr) {
      return arrow::Status::OK();
    }
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::RecordBatch> restored, RestoreSchema(*batch, schema));
    out.push_back(std::move(restored));
  }
}

// A file whose row groups can be read one by one.
struct OpenParquet {
  std::unique_ptr<parquet::arrow::FileReader> reader;
  std::shared_ptr<arrow::Schema> schema;

  int groups() const { return reader->num_row_groups(); }
  int64_t RowsOf(int group) const { return reader->parquet_reader()->metadata()->RowGroup(group)->num_rows(); }
  arrow::Status Read(int group, Batches& out) const {
    ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Table> table, reader->ReadRowGroup(group));
    if (table->num_columns() != schema->num_fields()) {
      return arrow::Status::Invalid("expected ", schema->num_fields(), " columns, got ", table->num_columns());
    }
    return AppendBatches(*table, schema, out);
  }
};

arrow::Result<OpenParquet> Open(const std::shared_ptr<InputFile>& file) {
  parquet::ReaderProperties properties;
  properties.set_page_checksum_verification(true);
  parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/true);
  // It would read whole row groups before decoding the first page: more memory, and nothing gained from a local disk.
  arrow_properties.set_pre_buffer(false);
  parquet::arrow::FileReaderBuilder builder;
  ARROW_RETURN_NOT_OK(builder.Open(file, properties));
  OpenParquet parquet;
  ARROW_ASSIGN_OR_RAISE(parquet.reader, builder.properties(arrow_properties)->Build());
  ARROW_ASSIGN_OR_RAISE(parquet.schema, StoredSchema(*parquet.reader->parquet_reader()->metadata()));
  if (parquet.schema == nullptr) {
    return arrow::Status::Invalid("its Arrow schema is missing");
  }
  return parquet;
}

arrow::Status ReadParquet(const std::shared_ptr<InputFile>& file, Batches& out) {
  ARROW_ASSIGN_OR_RAISE(const OpenParquet parquet, Open(file));
  for (int group = 0; group < parquet.groups(); ++group) {
    ARROW_RETURN_NOT_OK(parquet.Read(group, out));
  }
  return arrow::Status::OK();
}

// Which rows of a damaged file no longer decode, for the message: "; rows 0 to 65535 cannot be read".
std::string UnreadableRows(const std::shared_ptr<InputFile>& file) {
  std::string rows;
  const arrow::Status status = Caught([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const OpenParquet parquet, Open(file));
    int64_t first = 0;
    for (int group = 0; group < parquet.groups(); ++group) {
      const int64_t end = first + parquet.RowsOf(group);
      Batches batches;
      if (!Caught([&] { return parquet.Read(group, batches); }).ok()) {
        rows += (rows.empty() ? "; rows " : ", ") + std::to_string(first) + " to " + std::to_string(end - 1);
      }
      first = end;
    }
    return arrow::Status::OK();
  });
  if (!status.ok()) {
    return "; none of its rows can be read";
  }
  return rows.empty() ? "; its rows can all be read" : rows + " cannot be read";
}

}  // namespace

Result<FileDigest> WriteSegmentFile(FileSystem& fs, const std::string& path,
                                    const std::shared_ptr<arrow::Schema>& schema, const Batches& batches) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kCreate));
  LB_KILL_POINT("segment.created");
  const auto sink = std::make_shared<SummingOutputStream>(*file);
  const arrow::Status written = Caught([&] { return WriteParquet(schema, batches, sink); });
  LB_TRY(sink->error());
  if (!written.ok()) {
    return Internal("cannot write segment file '" + path + "': " + written.ToString());
  }
  LB_KILL_POINT("segment.written");
  LB_TRY(file->Sync());
  LB_KILL_POINT("segment.synced");
  const std::string parent = std::filesystem::path(path).parent_path().string();
  LB_TRY(fs.SyncDirectory(parent.empty() ? "." : parent));
  LB_KILL_POINT("segment.named");
  return sink->digest();
}

Result<Batches> ReadSegmentFile(FileSystem& fs, const std::string& path, const FileDigest& digest) {
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  const Status sound = CheckDigest(*file, digest, [] { return true; });
  LB_ASSIGN(const uint64_t size, file->Size());
  const auto input = std::make_shared<InputFile>(std::move(file), size);
  if (sound.code() == StatusCode::kDataLoss) {
    return DataLoss(std::string(sound.message()) + UnreadableRows(input));
  }
  LB_TRY(sound);
  Batches batches;
  const arrow::Status read = Caught([&] { return ReadParquet(input, batches); });
  if (!read.ok()) {
    return DataLoss("segment file '" + path + "' cannot be decoded: " + read.ToString());
  }
  return batches;
}

Result<Batches> ReadSegmentRows(FileSystem& fs, const std::string& path, uint64_t begin, uint64_t end,
                                uint64_t* first) {
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, file->Size());
  const auto input = std::make_shared<InputFile>(std::move(file), size);
  Batches batches;
  const arrow::Status read = Caught([&]() -> arrow::Status {
    ARROW_ASSIGN_OR_RAISE(const OpenParquet parquet, Open(input));
    uint64_t row = 0;
    for (int group = 0; group < parquet.groups() && row < end; ++group) {
      const uint64_t group_end = row + static_cast<uint64_t>(parquet.RowsOf(group));
      if (group_end > begin) {
        *first = batches.empty() ? row : *first;
        ARROW_RETURN_NOT_OK(parquet.Read(group, batches));
      }
      row = group_end;
    }
    return row >= end ? arrow::Status::OK() : arrow::Status::Invalid("the file ends at row ", row);
  });
  if (!read.ok()) {
    return DataLoss("rows " + std::to_string(begin) + " to " + std::to_string(end - 1) + " of segment file '" + path +
                    "' cannot be decoded: " + read.ToString());
  }
  return batches;
}

Status VerifySegmentFile(FileSystem& fs, const std::string& path, const FileDigest& digest,
                         const std::function<bool()>& keep_on) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  return CheckDigest(*file, digest, keep_on);
}

}  // namespace longbow::storage
