#include "engine/transfer.h"

#include <arrow/api.h>
#include <arrow/io/memory.h>
#include <arrow/ipc/writer.h>
#include <arrow/util/byte_size.h>

#include <algorithm>
#include <functional>
#include <future>

#include "engine/arrow_status.h"
#include "engine/scan.h"
#include "storage/table_file.h"

namespace longbow::engine {
namespace {

using Batch = std::shared_ptr<arrow::RecordBatch>;

constexpr char kMetricKey[] = "longbow.metric";
constexpr int64_t kPutSizeBytes = int64_t{32} << 20;  // about what is put at once

// The rows of a file in the form in which a collection takes them.
class ImportedRows {
 public:
  static Result<std::unique_ptr<ImportedRows>> Open(FileSystem& fs, const ImportRequest& request) {
    std::unique_ptr<ImportedRows> rows(new ImportedRows(request));
    LB_ASSIGN(rows->reader_, storage::TableFileReader::Open(fs, request.path));
    LB_TRY(rows->MakeSchema());
    return rows;
  }

  // The vector column's type is known once there was a row.
  const std::shared_ptr<arrow::Schema>& schema() const { return schema_; }

  // Null at the end.
  Result<Batch> Next() {
    Batch batch;
    do {
      LB_ASSIGN(batch, reader_->Next());
    } while (batch != nullptr && batch->num_rows() == 0);
    if (batch == nullptr) {
      return batch;
    }
    arrow::ArrayVector columns = batch->columns();
    if (vector_ >= 0) {
      LB_ASSIGN(columns[static_cast<size_t>(vector_)], FixedSize(columns[static_cast<size_t>(vector_)]));
      LB_ASSIGN_ARROW(
          schema_,
          schema_->SetField(vector_, schema_->field(vector_)->WithType(columns[static_cast<size_t>(vector_)]->type())));
    }
    first_row_ += batch->num_rows();
    return arrow::RecordBatch::Make(schema_, batch->num_rows(), std::move(columns));
  }

 private:
  explicit ImportedRows(const ImportRequest& request) : request_(request) {}

  Status MakeSchema() {
    schema_ = reader_->schema();
    LB_TRY(Rename(request_.id_column, "id"));
    LB_TRY(Rename(request_.vector_column, "vector"));
    vector_ = schema_->GetFieldIndex("vector");
    if (!request_.metric.empty()) {
      std::shared_ptr<arrow::KeyValueMetadata> metadata =
          schema_->metadata() ? schema_->metadata()->Copy() : std::make_shared<arrow::KeyValueMetadata>();
      LB_TRY_ARROW(metadata->Set(kMetricKey, request_.metric));
      schema_ = schema_->WithMetadata(std::move(metadata));
    }
    return {};
  }

  Status Rename(const std::string& from, const std::string& to) {
    if (from == to) {
      return {};
    }
    const int column = schema_->GetFieldIndex(from);
    if (column < 0) {
      return InvalidArgument("'" + request_.path + "' has no column \"" + from + "\"");
    }
    if (schema_->GetFieldIndex(to) >= 0) {
      return InvalidArgument("'" + request_.path + "' has a column \"" + to + "\" besides \"" + from + "\"");
    }
    LB_ASSIGN_ARROW(schema_, schema_->SetField(column, schema_->field(column)->WithName(to)));
    return {};
  }

  // A list column as one of fixed size, where all its lists have one length; others as they are.
  Result<std::shared_ptr<arrow::Array>> FixedSize(const std::shared_ptr<arrow::Array>& array) {
    switch (array->type_id()) {
      case arrow::Type::LIST:
        return FixedSizeOf(static_cast<const arrow::ListArray&>(*array));
      case arrow::Type::LARGE_LIST:
        return FixedSizeOf(static_cast<const arrow::LargeListArray&>(*array));
      default:
        return array;
    }
  }

  template <typename List>
  Result<std::shared_ptr<arrow::Array>> FixedSizeOf(const List& lists) {
    for (int64_t i = 0; i < lists.length(); ++i) {
      if (lists.IsNull(i)) {
        return InvalidArgument("'" + request_.path + "': row " + std::to_string(first_row_ + i) + " has no vector");
      }
      dimension_ = dimension_ < 0 ? static_cast<int64_t>(lists.value_length(i)) : dimension_;
      if (static_cast<int64_t>(lists.value_length(i)) != dimension_) {
        return InvalidArgument("'" + request_.path + "': the vector of row " + std::to_string(first_row_ + i) +
                               " has " + std::to_string(lists.value_length(i)) + " values, those before it have " +
                               std::to_string(dimension_));
      }
    }
    const std::shared_ptr<arrow::Array> values =
        lists.values()->Slice(lists.value_offset(0), lists.length() * dimension_);
    LB_ASSIGN_ARROW(std::shared_ptr<arrow::Array> fixed,
                    arrow::FixedSizeListArray::FromArrays(values, static_cast<int32_t>(dimension_)));
    return fixed;
  }

  const ImportRequest& request_;
  std::unique_ptr<storage::TableFileReader> reader_;
  std::shared_ptr<arrow::Schema> schema_;
  int vector_ = -1;
  int64_t dimension_ = -1;  // of lists without a fixed size
  int64_t first_row_ = 0;
};

Status PutAndWait(Store& store, const std::string& collection, const Batch& rows) {
  LB_ASSIGN_ARROW(const auto sink, arrow::io::BufferOutputStream::Create());
  LB_ASSIGN_ARROW(const auto writer, arrow::ipc::MakeStreamWriter(sink, rows->schema()));
  LB_TRY_ARROW(writer->WriteRecordBatch(*rows));
  LB_TRY_ARROW(writer->Close());
  LB_ASSIGN_ARROW(const std::shared_ptr<arrow::Buffer> bytes, sink->Finish());
  std::promise<Status> answer;
  store.Put(collection, {rows, {Slice(bytes->data(), static_cast<size_t>(bytes->size()), bytes)}}, nullptr,
            [&answer](Status status) { answer.set_value(std::move(status)); });
  return answer.get_future().get();
}

// Calls `take` with pieces of every batch, none much larger than kPutSizeBytes.
Status ForEachPiece(FileSystem& fs, const ImportRequest& request, const std::function<Status(const Batch&)>& take) {
  LB_ASSIGN(const std::unique_ptr<ImportedRows> rows, ImportedRows::Open(fs, request));
  while (true) {
    LB_ASSIGN(const Batch batch, rows->Next());
    if (batch == nullptr) {
      return {};
    }
    int64_t size_bytes = 0;
    for (const auto& column : batch->columns()) {
      LB_ASSIGN_ARROW(const int64_t of_column, arrow::util::ReferencedBufferSize(*column));
      size_bytes += of_column;
    }
    const int64_t row_bytes = std::max<int64_t>(1, size_bytes / batch->num_rows());
    const int64_t step = std::max<int64_t>(1, kPutSizeBytes / row_bytes);
    for (int64_t row = 0; row < batch->num_rows(); row += step) {
      LB_TRY(take(batch->Slice(row, step)));
    }
  }
}

// Every row; and that the collection would take them.
Status CheckRows(Store& store, FileSystem& fs, const ImportRequest& request) {
  std::optional<CollectionSchema> schema;
  if (const auto found = store.Find(request.collection); found.ok()) {
    if (!request.append) {
      return AlreadyExists("dataset " + request.collection + " exists: choose another name, or say --append");
    }
    schema = *(*found)->shard.Pin()->schema;
  }
  int64_t first_row = 0;
  LB_TRY(ForEachPiece(fs, request, [&](const Batch& rows) -> Status {
    Result<CollectionSchema> merged =
        schema ? schema->Merge(rows->schema()) : CollectionSchema::FromArrow(rows->schema());
    LB_TRY(merged.status());
    schema = *std::move(merged);
    if (const Status status = ValidateRows(*schema, *rows); !status.ok()) {
      return {status.code(),
              "rows from " + std::to_string(first_row) + " of the file on: " + std::string(status.message())};
    }
    first_row += rows->num_rows();
    return {};
  }));
  return first_row > 0 ? Status() : InvalidArgument("'" + request.path + "' has no rows");
}

}  // namespace

Result<uint64_t> ExportCollection(Store& store, FileSystem& fs, const std::string& collection,
                                  const std::string& path) {
  LB_ASSIGN(const std::shared_ptr<Collection> found, store.Find(collection));
  ScanRequest request;
  request.collection = collection;
  LB_ASSIGN(const std::unique_ptr<ScanCursor> cursor, ScanCursor::Open(found->shard, request));
  LB_ASSIGN(const auto writer, storage::TableFileWriter::Create(fs, path, cursor->schema()));
  uint64_t rows = 0;
  while (true) {
    LB_ASSIGN(const Batch batch, cursor->Next(nullptr));
    if (batch == nullptr) {
      break;
    }
    LB_TRY(writer->Append(batch));
    rows += static_cast<uint64_t>(batch->num_rows());
  }
  LB_TRY(writer->Finish());
  return rows;
}

Result<uint64_t> ImportCollection(Store& store, FileSystem& fs, const ImportRequest& request) {
  LB_TRY(CheckRows(store, fs, request));
  uint64_t put = 0;
  const Status status = ForEachPiece(fs, request, [&](const Batch& rows) -> Status {
    LB_TRY(PutAndWait(store, request.collection, rows));
    put += static_cast<uint64_t>(rows->num_rows());
    return {};
  });
  if (!status.ok()) {
    return Status(status.code(), "after " + std::to_string(put) + " rows were put: " + std::string(status.message()));
  }
  LB_TRY(store.Checkpoint());
  return put;
}

}  // namespace longbow::engine
