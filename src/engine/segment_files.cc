#include "engine/segment_files.h"

#include <arrow/api.h>

#include <algorithm>

#include "storage/columns_file.h"

namespace longbow::engine {
namespace {

using Batches = std::vector<std::shared_ptr<arrow::RecordBatch>>;
using storage::MappedContent;
using storage::MappedFile;
using storage::MappedFileWriter;
using storage::MappedKind;
using storage::MappedSection;

Result<Batches> RowsBetween(const CollectionSchema& schema, const SegmentView& segment, uint32_t begin, uint32_t end) {
  Batches batches;
  for (const Chunk& chunk : segment.chunks) {
    const uint32_t from = std::max(chunk.first_row, begin);
    const uint32_t to = std::min(chunk.end_row(), end);
    if (from < to) {
      LB_ASSIGN(const auto rows, ConformTo(schema, *chunk.rows));
      batches.push_back(rows->Slice(from - chunk.first_row, to - from));
    }
  }
  return batches;
}

Result<storage::FileDigest> WriteVectors(FileSystem& fs, const std::string& path, const index::VectorRows& vectors,
                                         uint32_t begin, uint32_t end) {
  LB_ASSIGN(const auto writer, MappedFileWriter::Create(fs, path, VectorsContent(vectors, end - begin)));
  LB_TRY(writer->BeginSection(MappedSection::kRows));
  LB_TRY(writer->Append(vectors.bytes(begin), (end - begin) * vectors.row_bytes()));
  if (vectors.metric() == Metric::kCosine) {
    LB_TRY(writer->BeginSection(MappedSection::kInverseNorms));
    LB_TRY(writer->Append(vectors.inverse_norms(begin), (end - begin) * sizeof(double)));
  }
  return writer->Finish();
}

Result<storage::FileDigest> WriteOtherColumns(FileSystem& fs, const std::string& path, const CollectionSchema& schema,
                                              const Batches& batches) {
  std::shared_ptr<arrow::Schema> columns = schema.columns;
  Batches others = batches;
  if (schema.vector_column >= 0) {
    columns = columns->RemoveField(schema.vector_column).ValueOrDie();
    for (auto& batch : others) {
      batch = batch->RemoveColumn(schema.vector_column).ValueOrDie();
    }
  }
  return storage::WriteColumnsFile(fs, path, columns, others);
}

// Puts the vectors of a part where the segment's next rows stand.
Status MapVectors(const DataFolder& folder, const storage::PartEntry& part, Segment& segment) {
  index::VectorRows& vectors = segment.mutable_vectors();
  LB_ASSIGN(const MappedFile file, MappedFile::Open(folder.fs, folder.PathOf(part.vectors.file), part.vectors.digest,
                                                    VectorsContent(vectors, part.rows)));
  LB_TRY(file.CheckSize(MappedSection::kRows, part.rows * vectors.row_bytes()));
  if (segment.rows() % kPartRowsUnit != 0) {
    return DataLoss("manifest: '" + part.vectors.file + "' begins at row " + std::to_string(segment.rows()) +
                    " of its segment, which no page does");
  }
  LB_TRY(file.MapOver(MappedSection::kRows, vectors.MutableBytes(segment.rows())));
  // A part that the next checkpoint may write anew, with more rows, must be right before it gets new checksums.
  const bool is_rewritten = !segment.is_closed() && part.rows % kPartRowsUnit != 0;
  const auto check = [&](MappedSection section, const void* at, size_t size_bytes) {
    return is_rewritten ? file.CheckMapped(section, Slice(static_cast<const uint8_t*>(at), size_bytes, nullptr))
                        : Status();
  };
  LB_TRY(check(MappedSection::kRows, vectors.bytes(segment.rows()), part.rows * vectors.row_bytes()));
  if (vectors.metric() == Metric::kCosine) {
    LB_TRY(file.CheckSize(MappedSection::kInverseNorms, part.rows * sizeof(double)));
    LB_TRY(file.MapOver(MappedSection::kInverseNorms, vectors.MutableInverseNorms(segment.rows())));
    LB_TRY(check(MappedSection::kInverseNorms, vectors.inverse_norms(segment.rows()), part.rows * sizeof(double)));
  }
  return {};
}

Status CheckParquetIsThere(const DataFolder& folder, const storage::PartEntry& part) {
  const std::string path = folder.PathOf(part.parquet.file);
  LB_ASSIGN(const std::unique_ptr<File> file, folder.fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, file->Size());
  if (size != part.parquet.digest.size_bytes) {
    return DataLoss("segment file '" + path + "' is damaged: expected " +
                    std::to_string(part.parquet.digest.size_bytes) + " bytes, got " + std::to_string(size) +
                    "; restore it from a snapshot");
  }
  return {};
}

}  // namespace

MappedContent VectorsContent(const index::VectorRows& vectors, uint64_t rows) {
  return {
      .kind = MappedKind::kVectors,
      .rows = rows,
      .shape = {static_cast<uint32_t>(vectors.type()), vectors.dimension(), static_cast<uint32_t>(vectors.metric())}};
}

Status MapPart(const DataFolder& folder, const storage::PartEntry& part, const CollectionSchema& schema,
               Segment* segment) {
  LB_ASSIGN(const Batches batches,
            storage::MapColumnsFile(folder.fs, folder.PathOf(part.columns.file), part.columns.digest, part.rows));
  if (segment->searchable()) {
    LB_TRY(MapVectors(folder, part, *segment));
  }
  for (const auto& batch : batches) {
    LB_TRY(segment->AppendPlaced(schema, *batch, Segment::Placed::kMapped));
  }
  return {};
}

Result<storage::PartEntry> WritePart(const DataFolder& folder, const std::string& stem, const CollectionSchema& schema,
                                     const SegmentView& segment, uint32_t begin, uint32_t end) {
  LB_ASSIGN(const Batches batches, RowsBetween(schema, segment, begin, end));
  storage::PartEntry part;
  part.rows = end - begin;
  part.parquet.file = stem + ".parquet";
  LB_ASSIGN(part.parquet.digest,
            storage::WriteSegmentFile(folder.fs, folder.PathOf(part.parquet.file), schema.columns, batches));
  if (segment.segment->searchable()) {
    part.vectors.file = stem + ".vectors";
    LB_ASSIGN(part.vectors.digest,
              WriteVectors(folder.fs, folder.PathOf(part.vectors.file), segment.segment->vectors(), begin, end));
  }
  part.columns.file = stem + ".columns";
  LB_ASSIGN(part.columns.digest, WriteOtherColumns(folder.fs, folder.PathOf(part.columns.file), schema, batches));
  return part;
}

Status LoadPart(const DataFolder& folder, const storage::PartEntry& part, const CollectionSchema& schema,
                Segment* segment, Status* why) {
  LB_TRY(CheckParquetIsThere(folder, part));
  const Status mapped = MapPart(folder, part, schema, segment);
  if (mapped.ok() || mapped.code() == StatusCode::kFailedPrecondition) {
    return mapped;
  }
  *why = mapped;
  LB_ASSIGN(const Batches batches,
            storage::ReadSegmentFile(folder.fs, folder.PathOf(part.parquet.file), part.parquet.digest));
  uint64_t rows = 0;
  for (const auto& batch : batches) {
    rows += static_cast<uint64_t>(batch->num_rows());
  }
  if (rows != part.rows) {
    return DataLoss("'" + part.parquet.file + "' holds " + std::to_string(rows) + " rows, the manifest says " +
                    std::to_string(part.rows) + ": restore the data folder from a snapshot");
  }
  for (const auto& batch : batches) {
    LB_ASSIGN(const auto conforming, ConformTo(schema, *batch));
    LB_TRY(segment->Append(schema, conforming));
  }
  return {};
}

Result<storage::NamedFile> WriteOrdinals(const DataFolder& folder, const std::string& file,
                                         const RowOrdinals& ordinals) {
  const MappedContent content{.kind = MappedKind::kOrdinals, .rows = ordinals.rows(), .shape = {}};
  LB_ASSIGN(const auto writer, MappedFileWriter::Create(folder.fs, folder.PathOf(file), content));
  LB_TRY(writer->BeginSection(MappedSection::kOrdinals));
  LB_TRY(writer->Append(ordinals.bytes().data(), ordinals.bytes().size()));
  LB_ASSIGN(const storage::FileDigest digest, writer->Finish());
  return storage::NamedFile{file, digest};
}

Result<std::shared_ptr<const RowOrdinals>> ReadOrdinals(const DataFolder& folder, const storage::SegmentEntry& entry) {
  if (!entry.ordinals.any()) {
    return std::shared_ptr<const RowOrdinals>();
  }
  const MappedContent content{.kind = MappedKind::kOrdinals, .rows = entry.rows(), .shape = {}};
  LB_ASSIGN(const MappedFile file,
            MappedFile::Open(folder.fs, folder.PathOf(entry.ordinals.file), entry.ordinals.digest, content));
  LB_ASSIGN(Slice bytes, file.Map(MappedSection::kOrdinals));
  LB_TRY(file.CheckSize(MappedSection::kOrdinals, entry.rows() * sizeof(uint32_t)));
  LB_TRY(file.CheckMapped(MappedSection::kOrdinals, bytes));
  auto ordinals = std::make_shared<const RowOrdinals>(std::move(bytes));
  if (!ordinals->IsAscendingBelow(entry.end_ordinal - entry.first_ordinal)) {
    return DataLoss("'" + entry.ordinals.file + "' holds ordinals that no segment can have");
  }
  return ordinals;
}

}  // namespace longbow::engine
