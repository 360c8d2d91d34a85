#include "storage/manifest.h"

#include <arrow/result.h>
#include <arrow/util/base64.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/crc32c.h"
#include "base/kill_point.h"

namespace longbow::storage {
namespace {

using Json = nlohmann::json;

static_assert(std::endian::native == std::endian::little, "words are written as they lie in memory");

constexpr uint32_t kVersion = 2;
constexpr std::string_view kMagic = "LONGBOW-MANIFEST";
constexpr const char* kAdvice = "nothing was changed; restore the data folder from a snapshot";

std::string ManifestPath(const std::string& data_dir) { return data_dir + "/MANIFEST"; }

std::string Hex(uint32_t number) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", number);
  return text;
}

// The first line, "LONGBOW-MANIFEST <version> <bytes of JSON> <CRC32C of the line so far and the JSON>". Its form is
// the same in every version, so that any program can tell a newer manifest from a damaged one.
std::string HeaderLine(uint64_t version, std::string_view json) {
  std::string line = std::string(kMagic) + " " + std::to_string(version) + " " + std::to_string(json.size()) + " ";
  const uint32_t crc = Crc32c(Crc32c(0, line.data(), line.size()), json.data(), json.size());
  return line + Hex(crc) + "\n";
}

// ---- Writing -------------------------------------------------------------------------------------------------------

Json ToJson(const FileDigest& digest) { return {{"size_bytes", digest.size_bytes}, {"crc32c", digest.crc32c}}; }

Json ToJson(const NamedFile& file) {
  return file.any() ? Json{{"file", file.file}, {"digest", ToJson(file.digest)}} : Json(nullptr);
}

Json ToJson(const SegmentEntry& segment) {
  Json parts = Json::array();
  for (const PartEntry& part : segment.parts) {
    parts.push_back({{"rows", part.rows},
                     {"parquet", ToJson(part.parquet)},
                     {"vectors", ToJson(part.vectors)},
                     {"columns", ToJson(part.columns)}});
  }
  return {{"number", segment.number},  {"first_ordinal", segment.first_ordinal}, {"end_ordinal", segment.end_ordinal},
          {"parts", std::move(parts)}, {"ordinals", ToJson(segment.ordinals)},   {"graph", ToJson(segment.graph)}};
}

Json ToJson(const CollectionEntry& collection) {
  Json segments = Json::array();
  for (const SegmentEntry& segment : collection.segments) {
    segments.push_back(ToJson(segment));
  }
  return {{"name", collection.name},
          {"shard", collection.shard.value},
          {"schema_ipc", arrow::util::base64_encode(collection.schema_ipc)},
          {"last_index", collection.last_index.value},
          {"end_ordinal", collection.end_ordinal},
          {"next_segment", collection.next_segment},
          {"segments", std::move(segments)},
          {"deleted", ToJson(collection.deleted)}};
}

Json ToJson(const Manifest& manifest) {
  Json collections = Json::array();
  for (const CollectionEntry& collection : manifest.collections) {
    collections.push_back(ToJson(collection));
  }
  return {{"generation", manifest.generation},
          {"checkpoint", manifest.checkpoint.value},
          {"next_shard", manifest.next_shard.value},
          {"namespaces", manifest.namespaces},
          {"collections", std::move(collections)}};
}

// ---- Reading -------------------------------------------------------------------------------------------------------

// What a JSON object has, each field taken once. Errors name the field; the caller adds the file.
class Fields {
 public:
  static Result<Fields> Of(const Json& json, std::string where) {
    if (!json.is_object()) {
      return DataLoss(where + " is no object");
    }
    return Fields(json, std::move(where));
  }

  template <typename Int>
  Status Number(const char* name, Int* out) {
    LB_ASSIGN(const Json* value, Take(name));
    if (!value->is_number_unsigned() || value->get<uint64_t>() > std::numeric_limits<Int>::max()) {
      return Wrong(name, "no number of its size");
    }
    *out = value->get<Int>();
    return {};
  }

  Status Text(const char* name, std::string* out) {
    LB_ASSIGN(const Json* value, Take(name));
    if (!value->is_string()) {
      return Wrong(name, "no text");
    }
    *out = value->get<std::string>();
    return {};
  }

  Status Base64(const char* name, std::string* out) {
    std::string encoded;
    LB_TRY(Text(name, &encoded));
    arrow::Result<std::string> decoded = arrow::util::base64_decode(encoded);
    if (!decoded.ok()) {
      return Wrong(name, "no base64");
    }
    *out = std::move(decoded).ValueUnsafe();
    return {};
  }

  Status Digest(const char* name, FileDigest* out) {
    LB_ASSIGN(const Json* value, Take(name));
    LB_ASSIGN(Fields fields, Of(*value, where_ + "." + name));
    LB_TRY(fields.Number("size_bytes", &out->size_bytes));
    LB_TRY(fields.Number("crc32c", &out->crc32c));
    return fields.End();
  }

  // null: none.
  Status OptionalFile(const char* name, NamedFile* out) {
    LB_ASSIGN(const Json* value, Take(name));
    if (value->is_null()) {
      return {};
    }
    LB_ASSIGN(Fields fields, Of(*value, where_ + "." + name));
    LB_TRY(fields.Text("file", &out->file));
    LB_TRY(fields.Digest("digest", &out->digest));
    return out->any() ? fields.End() : Wrong(name, "a file without a name");
  }

  // Calls `read(element, where)` for each element of an array.
  template <typename Read>
  Status Array(const char* name, Read read) {
    LB_ASSIGN(const Json* value, Take(name));
    if (!value->is_array()) {
      return Wrong(name, "no array");
    }
    for (size_t i = 0; i < value->size(); ++i) {
      LB_TRY(read((*value)[i], where_ + "." + name + "[" + std::to_string(i) + "]"));
    }
    return {};
  }

  // Nothing but what was taken may be there: a field we do not know may change the meaning of those we do.
  Status End() const {
    for (const auto& [name, value] : json_->items()) {
      if (taken_.count(name) == 0) {
        return DataLoss(where_ + " has an unknown field '" + name + "'");
      }
    }
    return {};
  }

 private:
  Fields(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {}

  Result<const Json*> Take(const char* name) {
    taken_.insert(name);
    const auto found = json_->find(name);
    if (found == json_->end()) {
      return DataLoss(where_ + " has no field '" + name + "'");
    }
    return &*found;
  }

  Status Wrong(const char* name, const char* what) const { return DataLoss(where_ + "." + name + " is " + what); }

  const Json* json_;
  std::string where_;
  std::set<std::string> taken_;
};

Result<PartEntry> ReadPart(const Json& json, const std::string& where) {
  PartEntry part;
  LB_ASSIGN(Fields fields, Fields::Of(json, where));
  LB_TRY(fields.Number("rows", &part.rows));
  LB_TRY(fields.OptionalFile("parquet", &part.parquet));
  LB_TRY(fields.OptionalFile("vectors", &part.vectors));
  LB_TRY(fields.OptionalFile("columns", &part.columns));
  LB_TRY(fields.End());
  return part;
}

Result<SegmentEntry> ReadSegment(const Json& json, const std::string& where) {
  SegmentEntry segment;
  LB_ASSIGN(Fields fields, Fields::Of(json, where));
  LB_TRY(fields.Number("number", &segment.number));
  LB_TRY(fields.Number("first_ordinal", &segment.first_ordinal));
  LB_TRY(fields.Number("end_ordinal", &segment.end_ordinal));
  LB_TRY(fields.Array("parts", [&](const Json& element, const std::string& at) -> Status {
    LB_ASSIGN(PartEntry part, ReadPart(element, at));
    segment.parts.push_back(std::move(part));
    return {};
  }));
  LB_TRY(fields.OptionalFile("ordinals", &segment.ordinals));
  LB_TRY(fields.OptionalFile("graph", &segment.graph));
  LB_TRY(fields.End());
  return segment;
}

Result<CollectionEntry> ReadCollection(const Json& json, const std::string& where) {
  CollectionEntry collection;
  LB_ASSIGN(Fields fields, Fields::Of(json, where));
  LB_TRY(fields.Text("name", &collection.name));
  LB_TRY(fields.Number("shard", &collection.shard.value));
  LB_TRY(fields.Base64("schema_ipc", &collection.schema_ipc));
  LB_TRY(fields.Number("last_index", &collection.last_index.value));
  LB_TRY(fields.Number("end_ordinal", &collection.end_ordinal));
  LB_TRY(fields.Number("next_segment", &collection.next_segment));
  LB_TRY(fields.Array("segments", [&](const Json& element, const std::string& at) -> Status {
    LB_ASSIGN(SegmentEntry segment, ReadSegment(element, at));
    collection.segments.push_back(std::move(segment));
    return {};
  }));
  LB_TRY(fields.OptionalFile("deleted", &collection.deleted));
  LB_TRY(fields.End());
  return collection;
}

Result<Manifest> ReadJson(const Json& json) {
  Manifest manifest;
  LB_ASSIGN(Fields fields, Fields::Of(json, "manifest"));
  LB_TRY(fields.Number("generation", &manifest.generation));
  LB_TRY(fields.Number("checkpoint", &manifest.checkpoint.value));
  LB_TRY(fields.Number("next_shard", &manifest.next_shard.value));
  LB_TRY(fields.Array("namespaces", [&](const Json& element, const std::string& at) -> Status {
    if (!element.is_string()) {
      return DataLoss(at + " is no text");
    }
    manifest.namespaces.push_back(element.get<std::string>());
    return {};
  }));
  LB_TRY(fields.Array("collections", [&](const Json& element, const std::string& at) -> Status {
    LB_ASSIGN(CollectionEntry collection, ReadCollection(element, at));
    manifest.collections.push_back(std::move(collection));
    return {};
  }));
  LB_TRY(fields.End());
  return manifest;
}

// ---- Both ----------------------------------------------------------------------------------------------------------

// Below the data folder and nowhere else.
bool IsSafePath(const std::string& file) {
  const std::filesystem::path path(file);
  const auto goes_astray = [](const std::filesystem::path& part) {
    return part.empty() || part == "." || part == "..";
  };
  return !file.empty() && path.is_relative() && file.find('\0') == std::string::npos &&
         std::none_of(path.begin(), path.end(), goes_astray);
}

std::string Misplaced(const std::vector<const NamedFile*>& files) {
  for (const NamedFile* file : files) {
    if (file->any() && !IsSafePath(file->file)) {
      return "'" + file->file + "' is no path below the data folder";
    }
  }
  return {};
}

// Of one segment; the reason, or empty.
std::string Inconsistency(const SegmentEntry& segment) {
  const std::string what = "segment " + std::to_string(segment.number);
  uint64_t rows = 0;
  for (const PartEntry& part : segment.parts) {
    if (!part.parquet.any() || !part.columns.any()) {
      return what + " has a part without a segment file or its columns";
    }
    if (part.rows == 0 || part.rows > std::numeric_limits<uint32_t>::max() - rows) {
      return what + " has a part of " + std::to_string(part.rows) + " rows";
    }
    if (const std::string reason = Misplaced({&part.parquet, &part.vectors, &part.columns}); !reason.empty()) {
      return what + ": " + reason;
    }
    rows += part.rows;
  }
  const uint64_t ordinals = segment.end_ordinal - std::min(segment.end_ordinal, segment.first_ordinal);
  if (ordinals < rows || (ordinals > rows && !segment.ordinals.any())) {
    return what + " has " + std::to_string(rows) + " rows and " + std::to_string(ordinals) + " ordinals";
  }
  const std::string reason = Misplaced({&segment.ordinals, &segment.graph});
  return reason.empty() ? reason : what + ": " + reason;
}

// What must hold for any manifest, checked before it is written and after it was read. The reason, or empty.
std::string Inconsistency(const Manifest& manifest) {
  std::set<std::string> names;
  std::set<uint32_t> shards;
  for (const CollectionEntry& collection : manifest.collections) {
    const std::string what = "collection '" + collection.name + "'";
    if (!names.insert(collection.name).second || !shards.insert(collection.shard.value).second) {
      return what + " has a name or shard that another has too";
    }
    if (collection.shard >= manifest.next_shard) {
      return what + " has shard " + std::to_string(collection.shard.value) + ", not below next_shard " +
             std::to_string(manifest.next_shard.value);
    }
    uint64_t end_ordinal = 0;
    std::set<uint64_t> numbers;
    for (const SegmentEntry& segment : collection.segments) {
      if (const std::string reason = Inconsistency(segment); !reason.empty()) {
        return what + ": " + reason;
      }
      if (segment.first_ordinal < end_ordinal) {
        return what + ": segment " + std::to_string(segment.number) + " does not follow the one before it";
      }
      if (segment.number >= collection.next_segment || !numbers.insert(segment.number).second) {
        return what + ": segment " + std::to_string(segment.number) + " has no number of its own below next_segment";
      }
      end_ordinal = segment.end_ordinal;
    }
    if (end_ordinal > collection.end_ordinal) {
      return what + " ends at ordinal " + std::to_string(collection.end_ordinal) + ", its segments at " +
             std::to_string(end_ordinal);
    }
    if (const std::string reason = Misplaced({&collection.deleted}); !reason.empty()) {
      return what + ": " + reason;
    }
  }
  return {};
}

Status Damaged(const std::string& path, size_t offset, const std::string& reason) {
  return DataLoss("manifest '" + path + "' is damaged at offset " + std::to_string(offset) + ": " + reason + "; " +
                  kAdvice);
}

// The version that a header line claims; 0 if it is none.
uint64_t ClaimedVersion(std::string_view content) {
  uint64_t version = 0;
  if (content.starts_with(kMagic) && content.size() > kMagic.size()) {
    const char* begin = content.data() + kMagic.size() + 1;
    std::from_chars(begin, content.data() + content.size(), version);
  }
  return version;
}

Result<Manifest> ParseManifest(const std::string& path, const std::string& content) {
  const size_t line_end = content.find('\n');
  if (line_end == std::string::npos) {
    return Damaged(path, 0, "no first line");
  }
  const std::string_view json = std::string_view(content).substr(line_end + 1);
  const uint64_t version = ClaimedVersion(content);
  // The line is compared as a whole with what it must be, so that no byte of it can be another and mean the same.
  if (std::string_view(content).substr(0, line_end + 1) != HeaderLine(version, json)) {
    return Damaged(path, 0, "length or checksum do not fit the content");
  }
  if (version != kVersion) {
    return FailedPrecondition("manifest '" + path + "' has format " + std::to_string(version) +
                              " at offset 0, this program knows format " + std::to_string(kVersion) +
                              ": start the version that wrote it");
  }
  const Json parsed = Json::parse(json, nullptr, /*allow_exceptions=*/false);
  if (parsed.is_discarded()) {
    return Damaged(path, line_end + 1, "no JSON");
  }
  Result<Manifest> manifest = ReadJson(parsed);
  const std::string reason = manifest.ok() ? Inconsistency(*manifest) : std::string(manifest.status().message());
  if (!reason.empty()) {
    return Damaged(path, line_end + 1, reason);
  }
  return manifest;
}

}  // namespace

uint64_t SegmentEntry::rows() const {
  uint64_t rows = 0;
  for (const PartEntry& part : parts) {
    rows += part.rows;
  }
  return rows;
}

uint64_t CollectionEntry::rows() const {
  uint64_t rows = 0;
  for (const SegmentEntry& segment : segments) {
    rows += segment.rows();
  }
  return rows;
}

Result<std::optional<Manifest>> ReadManifest(FileSystem& fs, const std::string& data_dir) {
  const std::string path = ManifestPath(data_dir);
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (!exists) {
    return std::optional<Manifest>();
  }
  LB_ASSIGN(const std::string content, ReadWholeFile(fs, path));
  try {
    LB_ASSIGN(Manifest manifest, ParseManifest(path, content));
    return std::optional<Manifest>(std::move(manifest));
  } catch (const Json::exception& error) {
    return Damaged(path, 0, error.what());
  }
}

Status WriteManifest(FileSystem& fs, const std::string& data_dir, const Manifest& manifest) {
  const std::string path = ManifestPath(data_dir);
  if (const std::string reason = Inconsistency(manifest); !reason.empty()) {
    return Internal("manifest '" + path + "' is not written: " + reason);
  }
  std::string json;
  try {
    json = ToJson(manifest).dump(1) + "\n";
  } catch (const Json::exception& error) {  // a name that is no UTF-8
    return InvalidArgument("manifest '" + path + "' is not written: " + error.what());
  }
  // The names of the folders that it names files in must not be younger on the disk than itself.
  LB_TRY(fs.SyncDirectory(data_dir));
  LB_KILL_POINT("manifest.begin");
  LB_TRY(WriteWholeFile(fs, path, HeaderLine(kVersion, json) + json));
  LB_KILL_POINT("manifest.written");
  return {};
}

Result<FileDigest> WriteDeletedRows(FileSystem& fs, const std::string& path, const std::vector<uint64_t>& bits) {
  const Slice bytes(reinterpret_cast<const uint8_t*>(bits.data()), bits.size() * sizeof(uint64_t), nullptr);
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kCreate));
  LB_KILL_POINT("deleted_rows.created");
  LB_TRY(file->WriteAt(0, {bytes}));
  LB_KILL_POINT("deleted_rows.written");
  LB_TRY(file->Sync());
  LB_KILL_POINT("deleted_rows.synced");
  const std::string parent = std::filesystem::path(path).parent_path().string();
  LB_TRY(fs.SyncDirectory(parent.empty() ? "." : parent));
  return FileDigest{.size_bytes = bytes.size(), .crc32c = Crc32c(0, bytes.data(), bytes.size())};
}

Result<std::vector<uint64_t>> ReadDeletedRows(FileSystem& fs, const std::string& path, const FileDigest& digest) {
  LB_ASSIGN(const std::unique_ptr<File> file, fs.Open(path, OpenMode::kRead));
  LB_ASSIGN(const uint64_t size, file->Size());
  if (size != digest.size_bytes || size % sizeof(uint64_t) != 0) {
    return DataLoss("bitmap of deleted rows '" + path + "' is damaged: expected " + std::to_string(digest.size_bytes) +
                    " bytes, got " + std::to_string(size) + "; " + kAdvice);
  }
  std::vector<uint64_t> bits(size / sizeof(uint64_t));
  LB_ASSIGN(const size_t got, file->ReadAt(0, {reinterpret_cast<uint8_t*>(bits.data()), size}));
  if (const uint32_t crc = Crc32c(0, bits.data(), got); crc != digest.crc32c) {
    return DataLoss("bitmap of deleted rows '" + path + "' is damaged: expected CRC32C " + Hex(digest.crc32c) +
                    ", got " + Hex(crc) + "; " + kAdvice);
  }
  return bits;
}

}  // namespace longbow::storage
