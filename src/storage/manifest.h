// The checkpoint: which files hold the state up to one LSN. Swapped whole by rename.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/status.h"
#include "storage/segment_file.h"

namespace longbow::storage {

struct NamedFile {
  std::string file;  // below the data folder, '/'-separated; empty: there is none
  FileDigest digest;

  bool any() const { return !file.empty(); }
  bool operator==(const NamedFile&) const = default;
};

// A run of a segment's rows: complete as Parquet, and once more in the files that are mapped.
struct PartEntry {
  uint64_t rows = 0;
  NamedFile parquet;
  NamedFile vectors;  // none: the collection has no vector column
  NamedFile columns;

  bool operator==(const PartEntry&) const = default;
};

struct SegmentEntry {
  uint64_t number = 0;  // tells it from all others that its shard ever had
  uint64_t first_ordinal = 0;
  uint64_t end_ordinal = 0;      // its rows' ordinals are in [first_ordinal, end_ordinal)
  std::vector<PartEntry> parts;  // consecutive from its row 0, dead ones included
  NamedFile ordinals;            // which ordinals its rows have; none: all in that range
  NamedFile graph;               // of its first rows; none: to be built. The digest's checksum is that of its header

  uint64_t rows() const;
  bool operator==(const SegmentEntry&) const = default;
};

struct CollectionEntry {
  std::string name;
  ShardId shard;
  std::string schema_ipc;  // Arrow IPC schema message
  LogIndex last_index;
  uint64_t end_ordinal = 0;            // the next row gets this one
  uint64_t next_segment = 0;           // number that the next segment gets
  std::vector<SegmentEntry> segments;  // by ordinal
  NamedFile deleted;  // bitmap of dead rows, in the order of the segments and their rows; none: all live

  uint64_t rows() const;
};

struct Manifest {
  uint64_t generation = 0;  // of each written one higher than before; part of the names of the files it adds
  Lsn checkpoint;           // everything up to here is in the files named below
  uint64_t log_id = 0;      // of the log that it goes with; 0: any, as in a snapshot
  ShardId next_shard{1};
  std::vector<std::string> namespaces;
  std::vector<CollectionEntry> collections;
};

enum class FileRole : uint8_t { kParquet, kVectors, kColumns, kOrdinals, kGraph, kDeleted };
using FileVisitor = std::function<void(const CollectionEntry&, const NamedFile&, FileRole, uint64_t rows)>;
// Every file that it names, those that there are none of too; `rows`: of the part, segment or collection it is of.
void ForEachFile(const Manifest& manifest, const FileVisitor& visit);

// The bytes of `<data>/MANIFEST`; `path` is for messages. Errors as those of the next two.
Result<std::string> EncodeManifest(const std::string& path, const Manifest& manifest);
Result<Manifest> DecodeManifest(const std::string& path, std::string_view content);

// `<data>/MANIFEST`: a text line with format version, length and CRC32C, then JSON. None if there is no such file.
// DATA_LOSS for damage, FAILED_PRECONDITION for a newer format; the message names file, offset and what to do.
Result<std::optional<Manifest>> ReadManifest(FileSystem& fs, const std::string& data_dir);
// Atomic and durable on return.
Status WriteManifest(FileSystem& fs, const std::string& data_dir, const Manifest& manifest);

// The bitmap of dead rows: one bit per row, 64-bit little-endian words, no header: the manifest has the checksum.
Result<FileDigest> WriteDeletedRows(FileSystem& fs, const std::string& path, const std::vector<uint64_t>& bits);
Result<std::vector<uint64_t>> ReadDeletedRows(FileSystem& fs, const std::string& path, const FileDigest& digest);

}  // namespace longbow::storage
