#include "storage/snapshot_index.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <set>

#include "storage/json_fields.h"
#include "storage/sealed_json.h"

namespace longbow::storage {
namespace {

constexpr SealedKind kKind{.magic = "LONGBOW-SNAPSHOT",
                           .version = 1,
                           .what = "snapshot index",
                           .advice = "take another snapshot; `longbow snapshots` lists them"};
constexpr std::string_view kIdForm = "ddddddddTddddddZ-xxxxxxxxxxxxxxxx";

bool IsHexDigit(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

// "MANIFEST", or below "segments/" in plain names: whatever else the manifest may come to name, nothing of a data
// folder is overwritten by a snapshot.
bool IsFileOfData(std::string_view file) {
  if (file == kManifestFile) {
    return true;
  }
  if (!file.starts_with("segments/") || file.ends_with('/')) {
    return false;
  }
  for (size_t begin = 0; begin <= file.size();) {
    const size_t end = std::min(file.find('/', begin), file.size());
    const std::string_view part = file.substr(begin, end - begin);
    if (part.empty() || part.front() == '.' || part.size() > 200 ||
        !std::all_of(part.begin(), part.end(), [](char c) { return c > ' ' && c < '\x7f' && c != '\\'; })) {
      return false;
    }
    begin = end + 1;
  }
  return true;
}

// What must hold for any index. The reason, or empty.
std::string Inconsistency(const SnapshotIndex& index) {
  if (!IsSnapshotId(index.id)) {
    return "'" + index.id + "' is no id of a snapshot";
  }
  std::set<std::string_view> names;
  for (const SnapshotFile& file : index.files) {
    if (!IsFileOfData(file.file) || !names.insert(file.file).second) {
      return "'" + file.file + "' is no path of a data folder's file, or there twice";
    }
    if (file.hash.size() != 32 || !std::all_of(file.hash.begin(), file.hash.end(), IsHexDigit)) {
      return "'" + file.hash + "' is no hash";
    }
  }
  return names.contains(kManifestFile) ? "" : "no file MANIFEST";
}

Result<SnapshotIndex> ReadIndex(const Json& json) {
  SnapshotIndex index;
  LB_ASSIGN(JsonFields fields, JsonFields::Of(json, "snapshot"));
  uint64_t taken_at_ns = 0;
  LB_TRY(fields.Text("id", &index.id));
  LB_TRY(fields.Number("taken_at_ns", &taken_at_ns));
  LB_TRY(fields.Number("lsn", &index.lsn.value));
  LB_TRY(fields.Text("collection", &index.collection));
  LB_TRY(fields.Array("collections", [&](const Json& element, const std::string& at) -> Status {
    SnapshotCollection collection;
    LB_ASSIGN(JsonFields of, JsonFields::Of(element, at));
    LB_TRY(of.Text("name", &collection.name));
    LB_TRY(of.Number("rows", &collection.rows));
    index.collections.push_back(std::move(collection));
    return of.End();
  }));
  LB_TRY(fields.Array("files", [&](const Json& element, const std::string& at) -> Status {
    SnapshotFile file;
    LB_ASSIGN(JsonFields of, JsonFields::Of(element, at));
    LB_TRY(of.Text("file", &file.file));
    LB_TRY(of.Number("size_bytes", &file.size_bytes));
    LB_TRY(of.Text("xxh3_128", &file.hash));
    index.files.push_back(std::move(file));
    return of.End();
  }));
  LB_TRY(fields.End());
  index.taken_at_ns = static_cast<int64_t>(taken_at_ns);
  return index;
}

}  // namespace

uint64_t SnapshotIndex::size_bytes() const {
  uint64_t size = 0;
  for (const SnapshotFile& file : files) {
    size += file.size_bytes;
  }
  return size;
}

std::string MakeSnapshotId(int64_t wall_ns, uint64_t number) {
  const auto seconds = static_cast<std::time_t>(wall_ns / 1'000'000'000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  std::array<char, 64> text{};
  const size_t size = std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ-", &parts);
  std::snprintf(text.data() + size, text.size() - size, "%016llx", static_cast<unsigned long long>(number));
  return text.data();
}

bool IsSnapshotId(std::string_view text) {
  return std::equal(text.begin(), text.end(), kIdForm.begin(), kIdForm.end(), [](char c, char form) {
    return form == 'd' ? c >= '0' && c <= '9' : form == 'x' ? IsHexDigit(c) : c == form;
  });
}

std::string SnapshotIndexName(std::string_view id) { return "snapshots/" + std::string(id) + ".json"; }

std::string EncodeSnapshotIndex(const SnapshotIndex& index) {
  Json collections = Json::array();
  for (const SnapshotCollection& collection : index.collections) {
    collections.push_back({{"name", collection.name}, {"rows", collection.rows}});
  }
  Json files = Json::array();
  for (const SnapshotFile& file : index.files) {
    files.push_back({{"file", file.file}, {"size_bytes", file.size_bytes}, {"xxh3_128", file.hash}});
  }
  const Json json = {{"id", index.id},
                     {"taken_at_ns", static_cast<uint64_t>(index.taken_at_ns)},
                     {"lsn", index.lsn.value},
                     {"collection", index.collection},
                     {"collections", std::move(collections)},
                     {"files", std::move(files)}};
  return SealJson(kKind, json.dump(1) + "\n");
}

Result<SnapshotIndex> DecodeSnapshotIndex(const std::string& path, std::string_view content) {
  try {
    LB_ASSIGN(const Json json, OpenSealedJson(kKind, path, content));
    Result<SnapshotIndex> index = ReadIndex(json);
    const std::string reason = index.ok() ? Inconsistency(*index) : std::string(index.status().message());
    return reason.empty() ? std::move(index) : DamagedJson(kKind, path, OffsetOfJson(content), reason);
  } catch (const Json::exception& error) {
    return DamagedJson(kKind, path, 0, error.what());
  }
}

}  // namespace longbow::storage
