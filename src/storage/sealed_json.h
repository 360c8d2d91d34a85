// JSON files that are replaced whole, behind a first line that vouches for every byte.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/status.h"

namespace longbow::storage {

struct SealedKind {
  std::string_view magic;
  uint64_t version = 0;
  const char* what;    // in messages: "manifest"
  const char* advice;  // what to do about a damaged one
};

// `json` behind the line "<magic> <version> <bytes of JSON> <CRC32C of the line so far and the JSON>". Its form is the
// same in every version, so that any program can tell a newer file from a damaged one.
std::string SealJson(const SealedKind& kind, std::string_view json);

// The JSON behind such a line. DATA_LOSS with path and offset, FAILED_PRECONDITION for another version.
Result<nlohmann::json> OpenSealedJson(const SealedKind& kind, const std::string& path, std::string_view content);

// DATA_LOSS, "manifest '/x' is damaged at offset 12: <reason>; <advice>".
Status DamagedJson(const SealedKind& kind, const std::string& path, size_t offset, const std::string& reason);

// Where the JSON begins.
size_t OffsetOfJson(std::string_view content);

}  // namespace longbow::storage
