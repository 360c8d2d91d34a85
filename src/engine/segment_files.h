// A run of a segment's rows as files: Parquet, complete, and what is mapped instead of reading it.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "engine/view.h"
#include "storage/manifest.h"
#include "storage/mapped_file.h"

namespace longbow::engine {

// Parts but the last one of a segment have a multiple of so many rows: each then begins at a page of the vectors.
inline constexpr uint32_t kPartRowsUnit = 65'536;

// Paths of the manifest are below it.
struct DataFolder {
  FileSystem& fs;
  std::string path;

  std::string PathOf(const std::string& file) const { return path + "/" + file; }
};

// Writes rows [begin, end) of a pinned segment, durably, as files `<stem>.parquet`, `.vectors` and `.columns`.
Result<storage::PartEntry> WritePart(const DataFolder& folder, const std::string& stem, const CollectionSchema& schema,
                                     const SegmentView& segment, uint32_t begin, uint32_t end);

// Appends a part's rows to a segment, mapped where they lie in their files; an error, and the segment as it was, if
// they are not there as they were written.
Status MapPart(const DataFolder& folder, const storage::PartEntry& part, const CollectionSchema& schema,
               Segment* segment);

// Appends a part's rows to a segment that has room for them, mapped where they lie in their files. If those are
// damaged or missing the rows are read from the Parquet file, and `why` says so. DATA_LOSS, naming the file, if that is
// no use either, or missing.
Status LoadPart(const DataFolder& folder, const storage::PartEntry& part, const CollectionSchema& schema,
                Segment* segment, Status* why);

// What the vectors file of rows like these must be of.
storage::MappedContent VectorsContent(const index::VectorRows& vectors, uint64_t rows);

Result<storage::NamedFile> WriteOrdinals(const DataFolder& folder, const std::string& file,
                                         const RowOrdinals& ordinals);
// Checked. DATA_LOSS if they are damaged: in a collection without ids nothing else says which row is which.
Result<std::shared_ptr<const RowOrdinals>> ReadOrdinals(const DataFolder& folder, const storage::SegmentEntry& entry);

}  // namespace longbow::engine
