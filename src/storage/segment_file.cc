#include "storage/segment_file.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/table.h>
#include <arrow/util/base64.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <parquet/exception.h>
#include <parquet/file_reader.h>
#include <parquet/metadata.h>

#include <algorithm>
#include <filesystem>

#include "base/crc32c.h"
#include "base/kill_point.h"
#include "storage/file_streams.h"
#include "storage/restore_type.h"

namespace longbow::storage {
namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;

constexpr int64_t kRowGroupRows = 65'536;
constexpr int64_t kVectorPageBytes = 4 << 20;
constexpr size_t kCheckBytes = 1u << 20;
// The Arrow schema as it was given. Parquet's own copy, ARROW:schema, is what other programs read; it is not enough,
// because Parquet for Arrow does not bring back every type that it takes.
constexpr const char* kSchemaKey = "longbow:schema";

// Numbers in lists of fixed length: what vectors are. They do not compress, and plain pages are copied, not decoded.
bool IsVector(const arrow::DataType& type) {
  return type.id() == arrow::Type::FIXED_SIZE_LIST &&
         arrow::is_numeric(static_cast<const arrow::FixedSizeListType&>(type).value_type()->id());
}

// Parquet writes a list of fixed length 0 and cannot read it back.
bool HasEmptyList(const arrow::DataType& type) {
  if (type.id() == arrow::Type::FIXED_SIZE_LIST &&
      static_cast<const arrow::FixedSizeListType&>(type).list_size() == 0) {
    return true;
  }
  const arrow::FieldVector& fields = type.fields();
  return std::any_of(fields.begin(), fields.end(), [](const auto& field) { return HasEmptyList(*field->type()); });
}

std::shared_ptr<parquet::WriterProperties> WriterProperties(const arrow::Schema& schema) {
  parquet::WriterProperties::Builder builder;
  builder.version(parquet::ParquetVersion::PARQUET_2_6)
      ->enable_page_checksum()
      ->compression(parquet::Compression::ZSTD)
      ->max_row_group_length(kRowGroupRows)
      ->created_by("longbow");
  for (const auto& field : schema.fields()) {
    if (IsVector(*field->type())) {
      const std::string leaf = field->name() + ".list.element";
      builder.disable_dictionary(leaf)
          ->encoding(leaf, parquet::Encoding::PLAIN)
          ->compression(leaf, parquet::Compression::UNCOMPRESSED)
          ->disable_statistics(leaf);
      // Applies to all columns; the others hardly fill a page of this size.
      builder.data_pagesize(kVectorPageBytes);
    }
  }
  return builder.build();
}

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
  for (const auto& field : schema->fields()) {
    if (HasEmptyList(*field->type())) {
      return arrow::Status::Invalid("column '", field->name(), "': lists of fixed size 0 cannot be stored");
    }
  }
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Table> table, ToTable(schema, batches));
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  ARROW_ASSIGN_OR_RAISE(const std::unique_ptr<parquet::arrow::FileWriter> writer,
                        parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(), sink,
                                                         WriterProperties(*schema), arrow_properties));
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Buffer> schema_ipc, arrow::ipc::SerializeSchema(*schema));
  ARROW_RETURN_NOT_OK(writer->AddKeyValueMetadata(
      arrow::key_value_metadata({{kSchemaKey, arrow::util::base64_encode(std::string_view(*schema_ipc))}})));
  ARROW_RETURN_NOT_OK(writer->WriteTable(*table, kRowGroupRows));
  ARROW_RETURN_NOT_OK(writer->Close());
  return sink->Close();
}

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

arrow::Result<std::shared_ptr<arrow::Schema>> StoredSchema(const parquet::FileMetaData& metadata) {
  const auto& pairs = metadata.key_value_metadata();
  if (pairs == nullptr) {
    return arrow::Status::Invalid("no metadata");
  }
  ARROW_ASSIGN_OR_RAISE(const std::string encoded, pairs->Get(kSchemaKey));
  ARROW_ASSIGN_OR_RAISE(std::string bytes, arrow::util::base64_decode(encoded));
  arrow::io::BufferReader reader(arrow::Buffer::FromString(std::move(bytes)));
  arrow::ipc::DictionaryMemo memo;
  return arrow::ipc::ReadSchema(&reader, &memo);
}

arrow::Status AppendBatches(const arrow::Table& table, const std::shared_ptr<arrow::Schema>& schema, Batches& out) {
  arrow::TableBatchReader reader(table);
  while (true) {
    std::shared_ptr<arrow::RecordBatch> batch;
    ARROW_RETURN_NOT_OK(reader.ReadNext(&batch));
    if (batch == nullptr) {
      return arrow::Status::OK();
    }
    arrow::ArrayVector columns;
    for (int i = 0; i < schema->num_fields(); ++i) {
      ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> column,
                            RestoreType(batch->column(i), schema->field(i)->type()));
      columns.push_back(std::move(column));
    }
    out.push_back(arrow::RecordBatch::Make(schema, batch->num_rows(), std::move(columns)));
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
