#include "storage/parquet_layout.h"

#include <arrow/buffer.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/dictionary.h>
#include <arrow/ipc/reader.h>
#include <arrow/ipc/writer.h>
#include <arrow/record_batch.h>
#include <arrow/util/base64.h>
#include <arrow/util/key_value_metadata.h>
#include <parquet/arrow/writer.h>
#include <parquet/metadata.h>

#include <algorithm>

#include "storage/restore_type.h"

namespace longbow::storage {
namespace {

constexpr int64_t kVectorPageBytes = 1 << 20;
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

// The levels of a whole group are in memory while it is written, twice its vectors, beside a page four times over.
int64_t RowsOfGroup(const arrow::Schema& schema) {
  constexpr int64_t kGroupVectorBytes = 2 << 20;
  int64_t row_bytes = 1;
  for (const auto& field : schema.fields()) {
    if (IsVector(*field->type())) {
      const auto& list = static_cast<const arrow::FixedSizeListType&>(*field->type());
      row_bytes += int64_t{list.list_size()} * list.value_type()->bit_width() / 8;
    }
  }
  return std::clamp<int64_t>(kGroupVectorBytes / row_bytes, 64, kRowGroupRows);
}

std::shared_ptr<parquet::WriterProperties> WriterProperties(const arrow::Schema& schema) {
  parquet::WriterProperties::Builder builder;
  builder.version(parquet::ParquetVersion::PARQUET_2_6)
      ->enable_page_checksum()
      ->compression(parquet::Compression::ZSTD)
      ->max_row_group_length(RowsOfGroup(schema))
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

}  // namespace

arrow::Result<std::unique_ptr<parquet::arrow::FileWriter>> OpenParquetWriter(
    const std::shared_ptr<arrow::Schema>& schema, const std::shared_ptr<arrow::io::OutputStream>& sink) {
  for (const auto& field : schema->fields()) {
    if (HasEmptyList(*field->type())) {
      return arrow::Status::Invalid("column '", field->name(), "': lists of fixed size 0 cannot be stored");
    }
  }
  const auto arrow_properties = parquet::ArrowWriterProperties::Builder().store_schema()->build();
  ARROW_ASSIGN_OR_RAISE(std::unique_ptr<parquet::arrow::FileWriter> writer,
                        parquet::arrow::FileWriter::Open(*schema, arrow::default_memory_pool(), sink,
                                                         WriterProperties(*schema), arrow_properties));
  ARROW_ASSIGN_OR_RAISE(const std::shared_ptr<arrow::Buffer> schema_ipc, arrow::ipc::SerializeSchema(*schema));
  ARROW_RETURN_NOT_OK(writer->AddKeyValueMetadata(
      arrow::key_value_metadata({{kSchemaKey, arrow::util::base64_encode(std::string_view(*schema_ipc))}})));
  return writer;
}

arrow::Result<std::shared_ptr<arrow::Schema>> StoredSchema(const parquet::FileMetaData& metadata) {
  const auto& pairs = metadata.key_value_metadata();
  if (pairs == nullptr || !pairs->Contains(kSchemaKey)) {
    return nullptr;
  }
  ARROW_ASSIGN_OR_RAISE(const std::string encoded, pairs->Get(kSchemaKey));
  ARROW_ASSIGN_OR_RAISE(std::string bytes, arrow::util::base64_decode(encoded));
  arrow::io::BufferReader reader(arrow::Buffer::FromString(std::move(bytes)));
  arrow::ipc::DictionaryMemo memo;
  return arrow::ipc::ReadSchema(&reader, &memo);
}

arrow::Result<std::shared_ptr<arrow::RecordBatch>> RestoreSchema(const arrow::RecordBatch& batch,
                                                                 const std::shared_ptr<arrow::Schema>& schema) {
  if (batch.num_columns() != schema->num_fields()) {
    return arrow::Status::Invalid("expected ", schema->num_fields(), " columns, got ", batch.num_columns());
  }
  arrow::ArrayVector columns;
  for (int i = 0; i < schema->num_fields(); ++i) {
    ARROW_ASSIGN_OR_RAISE(std::shared_ptr<arrow::Array> column, RestoreType(batch.column(i), schema->field(i)->type()));
    columns.push_back(std::move(column));
  }
  return arrow::RecordBatch::Make(schema, batch.num_rows(), std::move(columns));
}

}  // namespace longbow::storage
