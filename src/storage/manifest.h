// The checkpoint: which files hold the state up to one LSN. Swapped whole by rename.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/file.h"
#include "base/ids.h"
#include "base/status.h"
#include "storage/segment_file.h"

namespace longbow::storage {

struct SegmentEntry {
  std::string file;  // below the data folder, '/'-separated
  FileDigest digest;
  uint64_t first_ordinal = 0;
  uint64_t rows = 0;
};

struct CollectionEntry {
  std::string name;
  ShardId shard;
  std::string schema_ipc;  // Arrow IPC schema message
  uint64_t rows = 0;       // ordinals [0, rows), dead ones included
  LogIndex last_index;
  std::vector<SegmentEntry> segments;  // consecutive, from ordinal 0
  std::string deleted_file;            // bitmap of dead ordinals, see DeletedRows below; empty = none dead
  FileDigest deleted_digest;
};

struct Manifest {
  Lsn checkpoint;  // everything up to here is in the files named below
  ShardId next_shard{1};
  std::vector<std::string> namespaces;
  std::vector<CollectionEntry> collections;
};

// `<data>/MANIFEST`: a text line with format version, length and CRC32C, then JSON. None if there is no such file.
// DATA_LOSS for damage, FAILED_PRECONDITION for a newer format; the message names file, offset and what to do.
Result<std::optional<Manifest>> ReadManifest(FileSystem& fs, const std::string& data_dir);
// Atomic and durable on return.
Status WriteManifest(FileSystem& fs, const std::string& data_dir, const Manifest& manifest);

// The bitmap of dead rows: one bit per ordinal, 64-bit little-endian words, no header: the manifest has the checksum.
Result<FileDigest> WriteDeletedRows(FileSystem& fs, const std::string& path, const std::vector<uint64_t>& bits);
Result<std::vector<uint64_t>> ReadDeletedRows(FileSystem& fs, const std::string& path, const FileDigest& digest);

}  // namespace longbow::storage
