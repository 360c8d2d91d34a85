// Maps a columns file whose checksums are right and whose Arrow stream is the input: what is taken holds together.
#include <arrow/record_batch.h>
#include <arrow/status.h>

#include "base/check.h"
#include "base/memory_file_system.h"
#include "storage/columns_file.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow;
  using namespace longbow::storage;
  if (size == 0) {
    return 0;
  }
  constexpr char kPath[] = "/data/x.columns";
  const MappedContent content{.kind = MappedKind::kColumns, .rows = data[0], .shape = {}};
  MemoryFileSystem fs;
  LB_CHECK(fs.CreateDirectories("/data").ok());
  const auto writer = MappedFileWriter::Create(fs, kPath, content).value();
  LB_CHECK(writer->BeginSection(MappedSection::kColumns).ok());
  LB_CHECK(writer->Append(data + 1, size - 1).ok());
  const FileDigest digest = writer->Finish().value();
  const auto batches = MapColumnsFile(fs, kPath, digest, content.rows);
  LB_CHECK(batches.ok() || batches.status().code() == StatusCode::kDataLoss);
  if (batches.ok()) {
    uint64_t rows = 0;
    for (const auto& batch : *batches) {
      LB_CHECK(batch->ValidateFull().ok());
      rows += static_cast<uint64_t>(batch->num_rows());
    }
    LB_CHECK(rows == content.rows);
  }
  return 0;
}
