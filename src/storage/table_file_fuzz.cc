// Reads the input as a table of anybody's, Parquet or Arrow: what is taken holds together.
#include <arrow/record_batch.h>
#include <arrow/status.h>
#include <arrow/type.h>

#include <string>

#include "base/check.h"
#include "base/memory_file_system.h"
#include "storage/table_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow;
  using namespace longbow::storage;
  constexpr char kPath[] = "/data/x.table";
  constexpr int kBatchesMax = 1'000;  // many may be named in few bytes
  MemoryFileSystem fs;
  LB_CHECK(fs.CreateDirectories("/data").ok());
  LB_CHECK(WriteWholeFile(fs, kPath, std::string(reinterpret_cast<const char*>(data), size)).ok());
  const auto reader = TableFileReader::Open(fs, kPath);
  LB_CHECK(reader.ok() || reader.status().code() == StatusCode::kInvalidArgument);
  for (int i = 0; reader.ok() && i < kBatchesMax; ++i) {
    const auto batch = (*reader)->Next();
    LB_CHECK(batch.ok() || batch.status().code() == StatusCode::kInvalidArgument);
    if (!batch.ok() || *batch == nullptr) {
      break;
    }
    LB_CHECK((*batch)->ValidateFull().ok());
    LB_CHECK((*batch)->num_columns() == (*reader)->schema()->num_fields());
  }
  return 0;
}
