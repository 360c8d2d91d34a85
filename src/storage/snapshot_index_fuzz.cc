// Reads the index of a snapshot: the input as it is, or as JSON behind a right first line. What is taken is written and
// read again.
#include <string>

#include "base/check.h"
#include "storage/sealed_json.h"
#include "storage/snapshot_index.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow::storage;
  if (size == 0) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const SealedKind kind{
      .magic = "LONGBOW-SNAPSHOT", .version = static_cast<uint64_t>(data[0] - '0'), .what = "index", .advice = ""};
  const auto index = DecodeSnapshotIndex("x", data[0] == '0' ? text : SealJson(kind, text));
  if (index.ok()) {
    const auto again = DecodeSnapshotIndex("x", EncodeSnapshotIndex(*index));
    LB_CHECK(again.ok() && *again == *index);
    for (const SnapshotFile& file : index->files) {
      LB_CHECK(file.file == kManifestFile || file.file.starts_with("segments/"));
      LB_CHECK(file.file.find("..") == std::string::npos || file.file.find("/..") == std::string::npos);
    }
  }
  return 0;
}
