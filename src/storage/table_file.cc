#include "storage/table_file.h"

#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/file_reader.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <string_view>
#include <utility>

#include "storage/file_streams.h"
#include "storage/parquet_layout.h"

namespace longbow::storage {
namespace {

constexpr std::string_view kParquetMagic = "PAR1";
constexpr std::string_view kArrowMagic = "ARROW1";

// Either kind of file on its way.
class Writer final : public TableFileWriter {
 public:
  Writer(FileSystem& fs, std::unique_ptr<File> file, std::string path)
      : fs_(fs), file_(std::move(file)), path_(std::move(path)), sink_(std::make_shared<SummingOutputStream>(*file_)) {}
  ~Writer() override {
    if (!finished_) {
      (void)fs_.Remove(file_->path());
    }
  }

  Status Begin(const std::shared_ptr<arrow::Schema>& schema, bool is_parquet) {
    const arrow::Status status = Caught([&]() -> arrow::Status {
      if (is_parquet) {
        return OpenParquetWriter(schema, sink_).Value(&parquet_);
      }
      return arrow::ipc::MakeFileWriter(sink_, schema).Value(&ipc_);
    });
    return status.ok() ? Status() : InvalidArgument("'" + path_ + "' cannot be written: " + status.ToString());
  }

  Status Append(const std::shared_ptr<arrow::RecordBatch>& batch) override {
    return Run(
        [&] { return parquet_ != nullptr ? parquet_->WriteRecordBatch(*batch) : ipc_->WriteRecordBatch(*batch); });
  }

  Status Finish() override {
    LB_TRY(Run([&]() -> arrow::Status {
      ARROW_RETURN_NOT_OK(parquet_ != nullptr ? parquet_->Close() : ipc_->Close());
      return sink_->Close();
    }));
    LB_TRY(file_->Sync());
    LB_TRY(fs_.Rename(file_->path(), path_));
    finished_ = true;
    const std::string parent = std::filesystem::path(path_).parent_path().string();
    return fs_.SyncDirectory(parent.empty() ? "." : parent);
  }

 private:
  template <typename Body>
  Status Run(Body body) {
    const arrow::Status status = Caught(body);
    LB_TRY(sink_->error());
    return status.ok() ? Status() : Internal("'" + path_ + "' cannot be written: " + status.ToString());
  }

  FileSystem& fs_;
  const std::unique_ptr<File> file_;
  const std::string path_;
  const std::shared_ptr<SummingOutputStream> sink_;
  std::unique_ptr<parquet::arrow::FileWriter> parquet_;
  std::shared_ptr<arrow::ipc::RecordBatchWriter> ipc_;
  bool finished_ = false;
};

Status CannotBeRead(const std::string& path, const arrow::Status& status) {
  return InvalidArgument("'" + path + "' cannot be read: " + status.ToString());
}

class ParquetReader final : public TableFileReader {
 public:
  explicit ParquetReader(std::string path) : path_(std::move(path)) {}

  arrow::Status Begin(const std::shared_ptr<InputFile>& file) {
    parquet::ReaderProperties properties;
    properties.set_page_checksum_verification(true);
    parquet::ArrowReaderProperties arrow_properties(/*use_threads=*/true);
    arrow_properties.set_pre_buffer(false);
    arrow_properties.set_batch_size(kRowGroupRows);
    parquet::arrow::FileReaderBuilder builder;
    ARROW_RETURN_NOT_OK(builder.Open(file, properties));
    ARROW_ASSIGN_OR_RAISE(parquet_, builder.properties(arrow_properties)->Build());
    ARROW_ASSIGN_OR_RAISE(stored_, StoredSchema(*parquet_->parquet_reader()->metadata()));
    ARROW_ASSIGN_OR_RAISE(batches_, parquet_->GetRecordBatchReader());
    schema_ = stored_ != nullptr ? stored_ : batches_->schema();
    return arrow::Status::OK();
  }

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    const arrow::Status status = Caught([&]() -> arrow::Status {
      ARROW_RETURN_NOT_OK(batches_->ReadNext(&batch));
      if (batch == nullptr) {
        return arrow::Status::OK();
      }
      if (stored_ != nullptr) {
        ARROW_RETURN_NOT_OK(RestoreSchema(*batch, stored_).Value(&batch));
      }
      return batch->ValidateFull();  // text that is no UTF-8, indices beyond a dictionary
    });
    return status.ok() ? Result<std::shared_ptr<arrow::RecordBatch>>(std::move(batch)) : CannotBeRead(path_, status);
  }

 private:
  const std::string path_;
  std::unique_ptr<parquet::arrow::FileReader> parquet_;
  std::shared_ptr<arrow::Schema> stored_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::RecordBatchReader> batches_;
};

class IpcReader final : public TableFileReader {
 public:
  explicit IpcReader(std::string path) : path_(std::move(path)) {}

  arrow::Status Begin(const std::shared_ptr<InputFile>& file) {
    ARROW_ASSIGN_OR_RAISE(reader_, arrow::ipc::RecordBatchFileReader::Open(file));
    schema_ = reader_->schema();
    return arrow::Status::OK();
  }

  const std::shared_ptr<arrow::Schema>& schema() const override { return schema_; }

  Result<std::shared_ptr<arrow::RecordBatch>> Next() override {
    std::shared_ptr<arrow::RecordBatch> batch;
    if (next_ == reader_->num_record_batches()) {
      return batch;
    }
    const arrow::Status status = Caught([&]() -> arrow::Status {
      ARROW_ASSIGN_OR_RAISE(batch, reader_->ReadRecordBatch(next_++));
      return batch->ValidateFull();  // offsets are followed before anybody else looks at them
    });
    return status.ok() ? Result<std::shared_ptr<arrow::RecordBatch>>(std::move(batch)) : CannotBeRead(path_, status);
  }

 private:
  const std::string path_;
  std::shared_ptr<arrow::ipc::RecordBatchFileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
  int next_ = 0;
};

template <typename Reader>
Result<std::unique_ptr<TableFileReader>> OpenAs(const std::string& path, const std::shared_ptr<InputFile>& input) {
  auto reader = std::make_unique<Reader>(path);
  const arrow::Status status = Caught([&] { return reader->Begin(input); });
  return status.ok() ? Result<std::unique_ptr<TableFileReader>>(std::move(reader)) : CannotBeRead(path, status);
}

}  // namespace

Result<std::unique_ptr<TableFileWriter>> TableFileWriter::Create(FileSystem& fs, const std::string& path,
                                                                 const std::shared_ptr<arrow::Schema>& schema) {
  const bool is_parquet = path.ends_with(".parquet");
  if (!is_parquet && !path.ends_with(".arrow") && !path.ends_with(".feather")) {
    return InvalidArgument("'" + path + "': the name of a table ends in .parquet, .arrow or .feather");
  }
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (exists) {
    return AlreadyExists("'" + path + "' exists: name another file, or remove it");
  }
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path + ".part", OpenMode::kCreateOrTruncate));
  auto writer = std::make_unique<Writer>(fs, std::move(file), path);
  LB_TRY(writer->Begin(schema, is_parquet));
  return std::unique_ptr<TableFileWriter>(std::move(writer));
}

Result<std::unique_ptr<TableFileReader>> TableFileReader::Open(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, file->Size());
  std::array<uint8_t, 8> begin{};
  LB_ASSIGN(const size_t got, file->ReadAt(0, begin));
  const std::string_view magic(reinterpret_cast<const char*>(begin.data()), got);
  const auto input = std::make_shared<InputFile>(std::move(file), size);
  if (magic.starts_with(kParquetMagic)) {
    return OpenAs<ParquetReader>(path, input);
  }
  if (magic.starts_with(kArrowMagic)) {
    return OpenAs<IpcReader>(path, input);
  }
  return InvalidArgument("'" + path + "' is neither a Parquet nor an Arrow IPC file");
}

}  // namespace longbow::storage
