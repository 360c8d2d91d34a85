// One collection as a Parquet or Arrow file, and any such file as a collection.
#pragma once

#include <cstdint>
#include <string>

#include "base/file.h"
#include "base/status.h"
#include "engine/store.h"

namespace longbow::engine {

// Writes the live rows, with the collection's schema and its metadata, so that ImportCollection makes the same one of
// them. Returns how many. Errors of Store::Find and TableFileWriter.
Result<uint64_t> ExportCollection(Store& store, FileSystem& fs, const std::string& collection, const std::string& path);

struct ImportRequest {
  std::string collection;
  std::string path;
  std::string id_column = "id";          // as it is called in the file
  std::string vector_column = "vector";  // a fixed-size list, or a list of which all have the same length
  std::string metric;                    // empty: the one that the file names, else euclidean
  bool append = false;                   // the collection may be there; rows with ids that it has replace those
};

// Reads the whole file twice: every row is checked before the first one is put. Returns how many rows were put, all
// acknowledged and in a checkpoint. INVALID_ARGUMENT for a file or a row that cannot be taken, with column and row;
// ALREADY_EXISTS if the collection is there and `append` was not said. After another error some rows may have been put.
Result<uint64_t> ImportCollection(Store& store, FileSystem& fs, const ImportRequest& request);

}  // namespace longbow::engine
