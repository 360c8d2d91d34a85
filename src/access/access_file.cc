#include "access/access_file.h"

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/limits.h"
#include "base/utc_time.h"

namespace longbow::access {
namespace {

using Json = nlohmann::json;

constexpr int kFormat = 1;

// One member of an object, checked; messages begin with `where`.
class Fields {
 public:
  Fields(const Json& object, std::string where) : object_(object), where_(std::move(where)) {}

  Status Wrong(const std::string& name, const std::string& what) const {
    return InvalidArgument(where_ + ": " + name + " " + what);
  }

  Result<std::string> Text(const std::string& name, bool required) const {
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) {
      return required ? Result<std::string>(Wrong(name, "is missing")) : std::string();
    }
    return found->is_string() ? Result<std::string>(found->get<std::string>()) : Wrong(name, "must be text");
  }

  Result<double> Number(const std::string& name) const {
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) {
      return 0.0;
    }
    const double number = found->is_number() ? found->get<double>() : -1;
    return std::isfinite(number) && number >= 0 ? Result<double>(number)
                                                : Wrong(name, "must be a number of 0 or more, got " + found->dump());
  }

  Result<uint64_t> Count(const std::string& name) const {
    const auto found = object_.find(name);
    if (found == object_.end() || found->is_null()) {
      return uint64_t{0};
    }
    return found->is_number_unsigned() ? Result<uint64_t>(found->get<uint64_t>())
                                       : Wrong(name, "must be a whole number of 0 or more, got " + found->dump());
  }

  Result<int64_t> Seconds(const std::string& name) const {
    LB_ASSIGN(const uint64_t seconds, Count(name));
    if (seconds > INT64_MAX / 1'000'000'000) {
      return Wrong(name, "lies beyond the year 2262");
    }
    return static_cast<int64_t>(seconds) * 1'000'000'000;
  }

 private:
  const Json& object_;
  const std::string where_;
};

Result<Rates> RatesOf(const Fields& fields) {
  Rates rates;
  LB_ASSIGN(rates.requests_per_second, fields.Number("requests_per_second"));
  LB_ASSIGN(rates.bytes_per_second, fields.Number("bytes_per_second"));
  return rates;
}

Result<KeyRecord> KeyOf(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  KeyRecord key;
  LB_ASSIGN(key.id, fields.Text("id", true));
  if (!SplitKey("lb_" + key.id + "_" + std::string(64, '0'))) {
    return fields.Wrong("id", "must be 16 hexadecimal digits, got '" + key.id + "'");
  }
  LB_ASSIGN(const std::string role, fields.Text("role", true));
  const Result<Right> right = ParseRight(role);
  if (!right.ok()) {
    return fields.Wrong("role", std::string(right.status().message()));
  }
  key.right = *right;
  LB_ASSIGN(key.name_space, fields.Text("namespace", true));
  if (key.name_space.empty() || key.name_space.find('/') != std::string::npos ||
      key.name_space.size() > limits::kNameSizeMaxBytes) {
    return fields.Wrong("namespace", "must be a name without a slash, or *, got '" + key.name_space + "'");
  }
  LB_ASSIGN(const std::string salt, fields.Text("salt", true));
  LB_ASSIGN(const std::string hash, fields.Text("sha256", true));
  if (!BytesOf(salt, key.salt.data(), key.salt.size()) || !BytesOf(hash, key.hash.data(), key.hash.size())) {
    return fields.Wrong("salt and sha256", "must be 32 and 64 hexadecimal digits");
  }
  LB_ASSIGN(key.created_ns, fields.Seconds("created_unix_seconds"));
  if (json.contains("expires_unix_seconds")) {
    LB_ASSIGN(key.expires_ns, fields.Seconds("expires_unix_seconds"));
  }
  LB_ASSIGN(key.note, fields.Text("note", false));
  LB_ASSIGN(key.rates, RatesOf(fields));
  return key;
}

Result<NamedLimits> LimitsOf(const Json& json, const std::string& where) {
  const Fields fields(json, where);
  NamedLimits named;
  LB_ASSIGN(named.name, fields.Text("name", true));
  LB_ASSIGN(named.limits.datasets, fields.Count("datasets"));
  LB_ASSIGN(named.limits.rows, fields.Count("rows"));
  LB_ASSIGN(named.limits.bytes, fields.Count("bytes"));
  LB_ASSIGN(named.limits.rates, RatesOf(fields));
  return named;
}

// Runs `take` on each object of the array `name`.
template <typename Take>
Status ForEach(const Json& file, const std::string& name, const std::string& path, Take take) {
  const auto found = file.find(name);
  if (found == file.end()) {
    return {};
  }
  if (!found->is_array()) {
    return InvalidArgument(path + ": " + name + " must be an array");
  }
  size_t number = 0;
  for (const Json& one : *found) {
    const std::string where = path + ": " + name + "[" + std::to_string(number++) + "]";
    if (!one.is_object()) {
      return InvalidArgument(where + " must be an object");
    }
    LB_TRY(take(one, where));
  }
  return {};
}

void PutRates(const Rates& rates, Json& json) {
  if (rates.requests_per_second > 0) {
    json["requests_per_second"] = rates.requests_per_second;
  }
  if (rates.bytes_per_second > 0) {
    json["bytes_per_second"] = rates.bytes_per_second;
  }
}

Json JsonOf(const KeyRecord& key) {
  Json json{{"id", key.id},
            {"role", RightName(key.right)},
            {"namespace", key.name_space},
            {"salt", HexOf(key.salt.data(), key.salt.size())},
            {"sha256", HexOf(key.hash.data(), key.hash.size())},
            {"created_unix_seconds", key.created_ns / 1'000'000'000}};
  if (key.expires_ns) {
    json["expires_unix_seconds"] = *key.expires_ns / 1'000'000'000;
  }
  if (!key.note.empty()) {
    json["note"] = key.note;
  }
  PutRates(key.rates, json);
  return json;
}

Json JsonOf(const NamedLimits& named) {
  Json json{{"name", named.name},
            {"datasets", named.limits.datasets},
            {"rows", named.limits.rows},
            {"bytes", named.limits.bytes}};
  PutRates(named.limits.rates, json);
  return json;
}

}  // namespace

KeyRecord* AccessFile::FindKey(std::string_view id) {
  for (KeyRecord& key : keys) {
    if (key.id == id) {
      return &key;
    }
  }
  return nullptr;
}

Result<AccessFile> ParseAccessFile(std::string_view content, const std::string& path) {
  const Json json = Json::parse(content, nullptr, false);
  if (json.is_discarded() || !json.is_object()) {
    return InvalidArgument(path + ": not a JSON object; `longbow keys create` writes this file");
  }
  if (const auto format = json.find("format"); format == json.end() || *format != kFormat) {
    return InvalidArgument(path + ": \"format\" must be " + std::to_string(kFormat) + ", got " +
                           (format == json.end() ? "none" : format->dump()));
  }
  AccessFile file;
  std::set<std::string> seen;
  LB_TRY(ForEach(json, "keys", path, [&](const Json& one, const std::string& where) -> Status {
    LB_ASSIGN(KeyRecord key, KeyOf(one, where));
    if (!seen.insert(key.id).second) {
      return InvalidArgument(where + ": id " + key.id + " stands there twice");
    }
    file.keys.push_back(std::move(key));
    return {};
  }));
  seen.clear();
  LB_TRY(ForEach(json, "namespaces", path, [&](const Json& one, const std::string& where) -> Status {
    LB_ASSIGN(NamedLimits named, LimitsOf(one, where));
    if (!seen.insert(named.name).second) {
      return InvalidArgument(where + ": namespace " + named.name + " stands there twice");
    }
    file.namespaces.push_back(std::move(named));
    return {};
  }));
  return file;
}

std::string SerializeAccessFile(const AccessFile& file) {
  Json keys = Json::array();
  for (const KeyRecord& key : file.keys) {
    keys.push_back(JsonOf(key));
  }
  Json namespaces = Json::array();
  for (const NamedLimits& named : file.namespaces) {
    namespaces.push_back(JsonOf(named));
  }
  return Json{{"format", kFormat}, {"keys", keys}, {"namespaces", namespaces}}.dump(1, ' ', false,
                                                                                    Json::error_handler_t::replace) +
         "\n";
}

Result<AccessFile> ReadAccessFile(FileSystem& fs, const std::string& path) {
  LB_ASSIGN(const std::string content, ReadWholeFile(fs, path));
  return ParseAccessFile(content, path);
}

}  // namespace longbow::access
