// Objects of our JSON files, read strictly, field by field.
#pragma once

#include <arrow/result.h>
#include <arrow/util/base64.h>

#include <cstdint>
#include <limits>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <utility>

#include "base/status.h"
#include "storage/manifest.h"

namespace longbow::storage {

using Json = nlohmann::json;

// What a JSON object has, each field taken once. Errors name the field; the caller adds the file.
class JsonFields {
 public:
  static Result<JsonFields> Of(const Json& json, std::string where) {
    if (!json.is_object()) {
      return DataLoss(where + " is no object");
    }
    return JsonFields(json, std::move(where));
  }

  bool Has(const char* name) const { return json_->contains(name); }

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
    LB_ASSIGN(JsonFields fields, Of(*value, where_ + "." + name));
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
    LB_ASSIGN(JsonFields fields, Of(*value, where_ + "." + name));
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
  JsonFields(const Json& json, std::string where) : json_(&json), where_(std::move(where)) {}

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

}  // namespace longbow::storage
