#include "storage/manifest.h"

#include <arrow/util/base64.h>

#include <algorithm>
#include <bit>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>

#include "base/crc32c.h"
#include "base/kill_point.h"
#include "storage/json_fields.h"
#include "storage/sealed_json.h"

namespace longbow::storage {
namespace {

using Fields = JsonFields;

static_assert(std::endian::native == std::endian::little, "words are written as they lie in memory");

constexpr char kAdvice[] = "nothing was changed; restore the data folder from a snapshot";
constexpr SealedKind kKind{.magic = "LONGBOW-MANIFEST", .version = 2, .what = "manifest", .advice = kAdvice};

std::string ManifestPath(const std::string& data_dir) { return data_dir + "/MANIFEST"; }

std::string Hex(uint32_t number) {
  char text[9];
  std::snprintf(text, sizeof(text), "%08x", number);
  return text;
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
  Json json{{"generation", manifest.generation},
            {"checkpoint", manifest.checkpoint.value},
            {"next_shard", manifest.next_shard.value},
            {"namespaces", manifest.namespaces},
            {"collections", std::move(collections)}};
  if (manifest.log_id != 0) {
    json["log_id"] = manifest.log_id;
  }
  return json;
}

// ---- Reading -------------------------------------------------------------------------------------------------------

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
  if (fields.Has("log_id")) {
    LB_TRY(fields.Number("log_id", &manifest.log_id));
  }
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

void ForEachFile(const Manifest& manifest, const FileVisitor& visit) {
  for (const CollectionEntry& collection : manifest.collections) {
    for (const SegmentEntry& segment : collection.segments) {
      for (const PartEntry& part : segment.parts) {
        visit(collection, part.parquet, FileRole::kParquet, part.rows);
        visit(collection, part.vectors, FileRole::kVectors, part.rows);
        visit(collection, part.columns, FileRole::kColumns, part.rows);
      }
      visit(collection, segment.ordinals, FileRole::kOrdinals, segment.rows());
      visit(collection, segment.graph, FileRole::kGraph, segment.rows());
    }
    visit(collection, collection.deleted, FileRole::kDeleted, collection.rows());
  }
}

Result<Manifest> DecodeManifest(const std::string& path, std::string_view content) {
  try {
    LB_ASSIGN(const Json json, OpenSealedJson(kKind, path, content));
    Result<Manifest> manifest = ReadJson(json);
    const std::string reason = manifest.ok() ? Inconsistency(*manifest) : std::string(manifest.status().message());
    return reason.empty() ? std::move(manifest) : DamagedJson(kKind, path, OffsetOfJson(content), reason);
  } catch (const Json::exception& error) {
    return DamagedJson(kKind, path, 0, error.what());
  }
}

Result<std::string> EncodeManifest(const std::string& path, const Manifest& manifest) {
  if (const std::string reason = Inconsistency(manifest); !reason.empty()) {
    return Internal("manifest '" + path + "' is not written: " + reason);
  }
  try {
    return SealJson(kKind, ToJson(manifest).dump(1) + "\n");
  } catch (const Json::exception& error) {  // a name that is no UTF-8
    return InvalidArgument("manifest '" + path + "' is not written: " + error.what());
  }
}

Result<std::optional<Manifest>> ReadManifest(FileSystem& fs, const std::string& data_dir) {
  const std::string path = ManifestPath(data_dir);
  LB_ASSIGN(const bool exists, fs.Exists(path));
  if (!exists) {
    return std::optional<Manifest>();
  }
  LB_ASSIGN(const std::string content, ReadWholeFile(fs, path));
  LB_ASSIGN(Manifest manifest, DecodeManifest(path, content));
  return std::optional<Manifest>(std::move(manifest));
}

Status WriteManifest(FileSystem& fs, const std::string& data_dir, const Manifest& manifest) {
  const std::string path = ManifestPath(data_dir);
  LB_ASSIGN(const std::string content, EncodeManifest(path, manifest));
  // The names of the folders that it names files in must not be younger on the disk than itself.
  LB_TRY(fs.SyncDirectory(data_dir));
  LB_KILL_POINT("manifest.begin");
  LB_TRY(WriteWholeFile(fs, path, content));
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
