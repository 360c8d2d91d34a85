// The file that keeps keys and the limits of namespaces. JSON: it is written by `longbow keys`, not by hand.
//
//   {"format": 1,
//    "keys": [{"id", "role", "namespace", "salt", "sha256", "created", "expires", "note",
//              "requests_per_second", "bytes_per_second"}, ...],
//    "namespaces": [{"name", "datasets", "rows", "bytes", "requests_per_second", "bytes_per_second"}, ...]}
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "access/key.h"
#include "base/file.h"
#include "base/status.h"

namespace longbow::access {

// Ceilings of one namespace; 0: none.
struct NamespaceLimits {
  uint64_t datasets = 0;
  uint64_t rows = 0;   // live ones
  uint64_t bytes = 0;  // Arrow bytes of them
  Rates rates;
  bool operator==(const NamespaceLimits&) const = default;
};

struct NamedLimits {
  std::string name;  // of a namespace; "*": of each that is not named
  NamespaceLimits limits;
};

struct AccessFile {
  std::vector<KeyRecord> keys;
  std::vector<NamedLimits> namespaces;

  KeyRecord* FindKey(std::string_view id);
};

// INVALID_ARGUMENT says what is wrong, and where: of which key or namespace.
Result<AccessFile> ParseAccessFile(std::string_view content, const std::string& path);
std::string SerializeAccessFile(const AccessFile& file);

// As ReadWholeFile and ParseAccessFile.
Result<AccessFile> ReadAccessFile(FileSystem& fs, const std::string& path);

// Reads the file (a missing one is empty), lets `change` change it and writes it if that succeeds, in one step that a
// crash leaves done or not done. One process at a time: ALREADY_EXISTS names the other.
template <typename Change>
Status ChangeAccessFile(FileSystem& fs, const std::string& path, Change change) {
  LB_ASSIGN(const std::unique_ptr<File> lock, fs.Lock(path + ".lock", "longbow keys"));
  LB_ASSIGN(const bool exists, fs.Exists(path));
  AccessFile file;
  if (exists) {
    LB_ASSIGN(file, ReadAccessFile(fs, path));
  }
  LB_TRY(change(file));
  return WriteWholeFile(fs, path, SerializeAccessFile(file));
}

}  // namespace longbow::access
