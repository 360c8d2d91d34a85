#include "storage/columns_file.h"

#include <arrow/buffer.h>
#include <arrow/io/interfaces.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>

#include <algorithm>

namespace longbow::storage {
namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

constexpr int64_t kBatchRows = 65'536;

// The section being written, as Arrow wants it.
class SectionStream final : public arrow::io::OutputStream {
 public:
  explicit SectionStream(MappedFileWriter& writer) : writer_(writer) { set_mode(arrow::io::FileMode::WRITE); }

  // The first error of the file, before Arrow's kind of status took its code away.
  const Status& error() const { return error_; }

  arrow::Status Write(const void* data, int64_t size) override {
    if (error_.ok()) {
      error_ = writer_.Append(data, static_cast<size_t>(size));
    }
    position_ += size;
    return error_.ok() ? arrow::Status::OK() : arrow::Status::IOError(error_.ToString());
  }
  using arrow::io::Writable::Write;
  arrow::Status Close() override {
    closed_ = true;
    return arrow::Status::OK();
  }
  arrow::Result<int64_t> Tell() const override { return position_; }
  bool closed() const override { return closed_; }

 private:
  MappedFileWriter& writer_;
  Status error_;
  int64_t position_ = 0;
  bool closed_ = false;
};

// Mapped bytes that live as long as arrays over them.
class SliceBuffer final : public arrow::Buffer {
 public:
  explicit SliceBuffer(Slice bytes)
      : Buffer(bytes.data(), static_cast<int64_t>(bytes.size())), bytes_(std::move(bytes)) {}

 private:
  const Slice bytes_;
};

arrow::Status WriteJoined(const Batches& group, arrow::ipc::RecordBatchWriter& writer) {
  if (group.size() > 1) {
    if (const auto joined = arrow::ConcatenateRecordBatches(group); joined.ok()) {
      return writer.WriteRecordBatch(**joined);
    }
    // Some types have no kernel for it: then they stay as many as they were.
  }
  for (const auto& batch : group) {
    ARROW_RETURN_NOT_OK(writer.WriteRecordBatch(*batch));
  }
  return arrow::Status::OK();
}

arrow::Status WriteStream(const std::shared_ptr<arrow::Schema>& schema, const Batches& batches, SectionStream& sink) {
  ARROW_ASSIGN_OR_RAISE(const auto writer, arrow::ipc::MakeStreamWriter(&sink, schema));
  Batches group;
  int64_t group_rows = 0;
  for (const auto& batch : batches) {
    for (int64_t begin = 0; begin < batch->num_rows();) {
      const int64_t count = std::min(batch->num_rows() - begin, kBatchRows - group_rows);
      group.push_back(arrow::RecordBatch::Make(schema, batch->num_rows(), batch->columns())->Slice(begin, count));
      begin += count;
      group_rows += count;
      if (group_rows == kBatchRows) {
        ARROW_RETURN_NOT_OK(WriteJoined(group, *writer));
        group.clear();
        group_rows = 0;
      }
    }
  }
  ARROW_RETURN_NOT_OK(WriteJoined(group, *writer));
  return writer->Close();
}

arrow::Status ReadStream(const Slice& bytes, Batches& out) {
  const auto input = std::make_shared<arrow::io::BufferReader>(std::make_shared<SliceBuffer>(bytes));
  ARROW_ASSIGN_OR_RAISE(const auto reader, arrow::ipc::RecordBatchStreamReader::Open(input));
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader->ReadNext(&batch));
    if (batch == nullptr) {
      return arrow::Status::OK();
    }
    ARROW_RETURN_NOT_OK(batch->ValidateFull());  // checksums say who wrote the offsets, not that they make sense
    out.push_back(std::move(batch));
  }
}

MappedContent ContentOf(uint64_t rows) { return {.kind = MappedKind::kColumns, .rows = rows, .shape = {}}; }

}  // namespace

Result<FileDigest> WriteColumnsFile(FileSystem& fs, const std::string& path,
                                    const std::shared_ptr<arrow::Schema>& schema, const Batches& batches) {
  uint64_t rows = 0;
  for (const auto& batch : batches) {
    rows += static_cast<uint64_t>(batch->num_rows());
  }
  LB_ASSIGN(const std::unique_ptr<MappedFileWriter> writer, MappedFileWriter::Create(fs, path, ContentOf(rows)));
  LB_TRY(writer->BeginSection(MappedSection::kColumns));
  SectionStream sink(*writer);
  const arrow::Status written = WriteStream(schema, batches, sink);
  LB_TRY(sink.error());
  if (!written.ok()) {
    return Internal("cannot write columns file '" + path + "': " + written.ToString());
  }
  return writer->Finish();
}

Result<Batches> MapColumnsFile(FileSystem& fs, const std::string& path, const FileDigest& digest, uint64_t rows) {
  LB_ASSIGN(const MappedFile file, MappedFile::Open(fs, path, digest, ContentOf(rows)));
  LB_ASSIGN(const Slice bytes, file.Map(MappedSection::kColumns));
  LB_TRY(file.CheckMapped(MappedSection::kColumns, bytes));
  Batches batches;
  const arrow::Status read = ReadStream(bytes, batches);
  if (!read.ok()) {
    return DataLoss("columns file '" + path + "' cannot be decoded: " + read.ToString());
  }
  uint64_t found = 0;
  for (const auto& batch : batches) {
    found += static_cast<uint64_t>(batch->num_rows());
  }
  if (found != rows) {
    return DataLoss("columns file '" + path + "' holds " + std::to_string(found) + " rows, expected " +
                    std::to_string(rows));
  }
  return batches;
}

}  // namespace longbow::storage
