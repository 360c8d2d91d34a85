#include "storage/sealed_json.h"

#include <charconv>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/crc32c.h"

namespace longbow::storage {
namespace {

std::string FirstLine(std::string_view magic, uint64_t version, std::string_view json) {
  std::string line = std::string(magic) + " " + std::to_string(version) + " " + std::to_string(json.size()) + " ";
  const uint32_t crc = Crc32c(Crc32c(0, line.data(), line.size()), json.data(), json.size());
  char digits[9];
  std::snprintf(digits, sizeof(digits), "%08x", crc);
  return line + digits + "\n";
}

// The version that a first line claims; 0 if it is none.
uint64_t ClaimedVersion(std::string_view magic, std::string_view content) {
  uint64_t version = 0;
  if (content.starts_with(magic) && content.size() > magic.size()) {
    const char* begin = content.data() + magic.size() + 1;
    std::from_chars(begin, content.data() + content.size(), version);
  }
  return version;
}

}  // namespace

std::string SealJson(const SealedKind& kind, std::string_view json) {
  return FirstLine(kind.magic, kind.version, json) + std::string(json);
}

Result<nlohmann::json> OpenSealedJson(const SealedKind& kind, const std::string& path, std::string_view content) {
  const size_t begin = OffsetOfJson(content);
  if (begin == 0) {
    return DamagedJson(kind, path, 0, "no first line");
  }
  const std::string_view json = content.substr(begin);
  const uint64_t version = ClaimedVersion(kind.magic, content);
  // The line is compared as a whole with what it must be, so that no byte of it can be another and mean the same.
  if (content.substr(0, begin) != FirstLine(kind.magic, version, json)) {
    return DamagedJson(kind, path, 0, "length or checksum do not fit the content");
  }
  if (version != kind.version) {
    return FailedPrecondition(std::string(kind.what) + " '" + path + "' has format " + std::to_string(version) +
                              " at offset 0, this program knows format " + std::to_string(kind.version) +
                              ": start the version that wrote it");
  }
  nlohmann::json parsed = nlohmann::json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return DamagedJson(kind, path, begin, "no JSON");
  }
  return parsed;
}

Status DamagedJson(const SealedKind& kind, const std::string& path, size_t offset, const std::string& reason) {
  return DataLoss(std::string(kind.what) + " '" + path + "' is damaged at offset " + std::to_string(offset) + ": " +
                  reason + "; " + kind.advice);
}

size_t OffsetOfJson(std::string_view content) {
  const size_t line_end = content.find('\n');
  return line_end == std::string_view::npos ? 0 : line_end + 1;
}

}  // namespace longbow::storage
