// Reads a manifest: the input as it is, or as JSON behind a right first line. What is taken is written and read again.
#include <array>
#include <cstdio>
#include <string>

#include "base/check.h"
#include "base/crc32c.h"
#include "base/memory_file_system.h"
#include "storage/manifest.h"

namespace {

std::string WithFirstLine(const std::string& json, char version) {
  std::string line = std::string("LONGBOW-MANIFEST ") + version + " " + std::to_string(json.size()) + " ";
  uint32_t crc = longbow::Crc32c(0, reinterpret_cast<const uint8_t*>(line.data()), line.size());
  crc = longbow::Crc32c(crc, reinterpret_cast<const uint8_t*>(json.data()), json.size());
  std::array<char, 16> digits{};
  std::snprintf(digits.data(), digits.size(), "%08x\n", crc);
  return line + digits.data() + json;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace longbow;
  using namespace longbow::storage;
  if (size == 0) {
    return 0;
  }
  const std::string text(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string content = data[0] == '0' ? text : WithFirstLine(text, static_cast<char>(data[0]));
  MemoryFileSystem fs;
  LB_CHECK(fs.CreateDirectories("/data").ok());
  LB_CHECK(WriteWholeFile(fs, "/data/MANIFEST", content).ok());
  const auto manifest = ReadManifest(fs, "/data");
  if (manifest.ok() && *manifest) {
    LB_CHECK(WriteManifest(fs, "/data", **manifest).ok());
    const std::string first = ReadWholeFile(fs, "/data/MANIFEST").value();
    const auto again = ReadManifest(fs, "/data");
    LB_CHECK(again.ok() && *again);
    LB_CHECK(WriteManifest(fs, "/data", **again).ok());
    LB_CHECK(ReadWholeFile(fs, "/data/MANIFEST").value() == first);
  }
  return 0;
}
