// What a snapshot consists of: docs/formats/snapshot.md.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/ids.h"
#include "base/status.h"

namespace longbow::storage {

// A file of the data folder and the object that holds its bytes.
struct SnapshotFile {
  std::string file;  // below the data folder, as the manifest names it; the manifest itself is "MANIFEST"
  uint64_t size_bytes = 0;
  std::string hash;  // ContentHash of its bytes

  // Below the place of the snapshots; files with equal contents share one.
  std::string object() const { return "objects/" + hash + "-" + std::to_string(size_bytes); }
  bool operator==(const SnapshotFile&) const = default;
};

struct SnapshotCollection {
  std::string name;
  uint64_t rows = 0;  // live ones

  bool operator==(const SnapshotCollection&) const = default;
};

struct SnapshotIndex {
  std::string id;
  int64_t taken_at_ns = 0;  // since 1970
  Lsn lsn;                  // everything up to here and nothing later is in it
  std::string collection;   // the only one in it; empty: all of the store
  std::vector<SnapshotCollection> collections;
  std::vector<SnapshotFile> files;

  uint64_t size_bytes() const;  // of all files
  bool operator==(const SnapshotIndex&) const = default;
};

inline constexpr std::string_view kManifestFile = "MANIFEST";

// "20260131T120000Z-0123456789abcdef": when it was taken, and a number that makes it the only one.
std::string MakeSnapshotId(int64_t wall_ns, uint64_t number);
bool IsSnapshotId(std::string_view text);
// "snapshots/<id>.json", below the place of the snapshots.
std::string SnapshotIndexName(std::string_view id);

std::string EncodeSnapshotIndex(const SnapshotIndex& index);
// DATA_LOSS with offset, FAILED_PRECONDITION for a newer format; `path` is for messages. What it returns has safe
// names: an id, files below the data folder, hashes that are hashes.
Result<SnapshotIndex> DecodeSnapshotIndex(const std::string& path, std::string_view content);

}  // namespace longbow::storage
